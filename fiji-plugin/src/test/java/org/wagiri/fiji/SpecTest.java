package org.wagiri.fiji;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import ij.Macro;
import java.util.HashSet;
import java.util.Set;
import org.junit.Test;
import org.wagiri.Context;
import org.wagiri.ParamInfo;
import org.wagiri.StageInfo;

public class SpecTest {
    static final Spec[] COMMANDS = {
        OpenScan.SPEC, Reconstruct.SPEC, TrainDenoiser.SPEC, ApplyDenoiser.SPEC, RunChain.SPEC, RunStage.SPEC
    };
    private static final MacroOptions.Variables NO_VARIABLES = name -> null;

    private static Values parse(String options) {
        return Reconstruct.SPEC.parse(options, NO_VARIABLES);
    }

    private static String complaint(String options) {
        return assertThrows(CommandError.class, () -> parse(options)).getMessage();
    }

    @Test
    public void keysAreWhatImageJMakesOfTheLabels() {
        for (Spec spec : COMMANDS) {
            for (Field field : spec.fields) {
                assertEquals(field.key, Macro.trimKey(field.label));
            }
        }
    }

    @Test
    public void keysCannotBeMistakenForEachOther() {
        for (Spec spec : COMMANDS) {
            Set<String> keys = new HashSet<>();
            for (Field a : spec.fields) {
                assertTrue(a.key, keys.add(a.key));
                for (Field b : spec.fields) {
                    assertFalse(a.key + " " + b.key, a.key.endsWith("_" + b.key));
                }
            }
        }
    }

    @Test
    public void defaultsAreAcceptable() {
        for (Spec spec : COMMANDS) {
            spec.check(spec.initial());
            spec.check(spec.parse("", NO_VARIABLES));
        }
    }

    @Test
    public void absentKeysHaveTheDefaultAndAbsentFlagsAreOff() {
        Values values = parse("output=/o");
        assertEquals("chesler", values.text("filter"));
        assertEquals("auto", values.text("center"));
        assertEquals("5", values.text("ring_kernel"));
        assertFalse(values.flag("open"));
        assertTrue(Reconstruct.SPEC.initial().flag("open"));
    }

    @Test
    public void flagsAreBareOrSaid() {
        assertTrue(parse("open").flag("open"));
        assertTrue(parse("open=true first=1").flag("open"));
        assertFalse(parse("open=false").flag("open"));
        assertEquals("open: expected true or false (value = 'maybe')", complaint("open=maybe"));
    }

    @Test
    public void bracketsNestAndHideWhatLooksLikeKeys() {
        Values values = parse("path=[/a/center=3/b [c] d] center=7 output=[/輪切り/出力 1]");
        assertEquals("/a/center=3/b [c] d", values.text("path"));
        assertEquals("7", values.text("center"));
        assertEquals("/輪切り/出力 1", values.text("output"));
        assertEquals("path: a bracket '[' is not closed", complaint("path=[/a [b] center=7"));
    }

    @Test
    public void aKeyInsideAnotherKeyIsNotFound() {
        assertEquals("9", parse("ring_kernel=9").text("ring_kernel"));
        assertEquals("sort", parse("ring_kernel=9").text("ring"));
    }

    @Test
    public void variablesComeFromTheMacro() {
        Values values = Reconstruct.SPEC.parse("center=&c", name -> name.equals("c") ? "49.3" : null);
        assertEquals("49.3", values.text("center"));
        assertEquals("the macro has no variable 'd'", complaint("center=&d"));
        assertEquals("&c", parse("path=[&c]").text("path"));
    }

    @Test
    public void mistakesAreNamed() {
        assertEquals("unknown key 'centre'; did you mean 'center'?", complaint("centre=5"));
        assertEquals("unknown key 'ring_kernal'; did you mean 'ring_kernel'?", complaint("ring_kernal=5 open"));
        assertEquals("center: a value is missing; write center=value", complaint("center open"));
        assertEquals("center: given twice; give each key once", complaint("center=1 center=2"));
        assertEquals("center: expected a number or auto (value = '1,5')", complaint("center=1,5"));
        assertEquals("center: expected a number or auto (value = 'NaN')", complaint("center=NaN"));
        assertEquals("center: expected a number or auto (value = '5f')", complaint("center=5f"));
        assertEquals("first: expected a whole number of at least 0 (value = '-1')", complaint("first=-1"));
        assertEquals(
                "filter: expected one of chesler, shepp-logan, ramp (value = 'hann')", complaint("filter=hann"));
        assertEquals("the options need key=value; a key is missing before '='", complaint("=5"));
    }

    @Test
    public void formattedTextReadsBackTheSame() {
        Values values =
                parse("path=[/a b/[c] d=e] output=/o center=49.3 ring=none type=16-bit min=-1 max=3 open dark=[]");
        String text = Reconstruct.SPEC.format(values);
        assertEquals("path=[/a b/[c] d=e] output=/o center=49.3 ring=none type=16-bit min=-1 max=3 open", text);
        assertEquals(Reconstruct.SPEC.describe(values), Reconstruct.SPEC.describe(parse(text)));
        String all = Reconstruct.SPEC.describe(values);
        assertEquals(all, Reconstruct.SPEC.describe(parse(all)));
    }

    @Test
    public void chainSaysWhatTheFieldsSay() {
        assertEquals(
                "raw | normalise | ring.sort kernel_px=5 | recon.fbp filter=chesler center_px=auto pixel_um=auto"
                        + " angle_offset_deg=0 pad=auto | write.tiff type=f32 min=auto max=auto",
                ReconstructRunner.chainText(parse("")));
        assertEquals(
                "raw | normalise | recon.fbp filter=ramp center_px=49.3 pixel_um=2 angle_offset_deg=-3.5 pad=off"
                        + " turn=full | write.tiff type=u8 min=0 max=2.5",
                ReconstructRunner.chainText(
                        parse("ring=none filter=ramp center=49.3 angle_deg=-3.5 pad=off scan=360 type=8-bit min=0"
                                + " max=2.5 pixel_um=2")));
    }

    @Test
    public void etaIsShort() {
        assertEquals("Reconstructing 120/2048 (eta 3 min)", ImageJProgress.line("Reconstructing", 120, 2048, 185));
        assertEquals("Reconstructing 1/2", ImageJProgress.line("Reconstructing", 1, 2, Double.NaN));
        assertEquals("42 s", ImageJProgress.time(42));
        assertEquals("2 min", ImageJProgress.time(100));
        assertEquals("2 h", ImageJProgress.time(6000));
    }

    @Test
    public void aSettledFieldIsRecordedAndNamesTheDialog() {
        Spec spec = new Spec("Wagiri Stage...", "", Field.fixed("stage", "Stage", "filter.median"), Field.fixed("plugin", "Plugin", ""));
        assertEquals("Wagiri Stage... filter.median ", spec.name());
        assertEquals("stage=filter.median", spec.format(spec.initial()));
        assertEquals("stage=filter.median", spec.format(spec.parse("stage=filter.median", NO_VARIABLES)));
    }

    @Test
    public void numbersOfBytesAreShort() {
        assertEquals("1.5 MB", ChainRunner.bytes(1_500_000));
        assertEquals("12.25 GB", ChainRunner.bytes(12_250_000_000L));
    }

    @Test
    public void everyStageMakesADialog() {
        try (Context context = Context.create(1, 0, "cpu")) {
            int onStacks = 0;
            for (StageInfo stage : context.stages()) {
                if (StageRunner.complaint(stage) != null) {
                    continue;
                }
                onStacks++;
                for (ParamInfo param : stage.params()) {
                    Field field = Field.of(param);
                    String place = stage.id() + " " + field.label;
                    assertEquals(place, field.key, Macro.trimKey(field.label));
                    assertEquals(place, null, field.complaint(field.initial));
                    assertFalse(place, field.key.equals("stage") || field.key.equals("plugin"));
                }
            }
            assertTrue(onStacks + " stages", onStacks > 5);
        }
    }
}
