package org.wagiri;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertTrue;

import java.io.File;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

public class RoundTripTest {
    static final String CHAIN = "normalise | recon.fbp center_px=30.5 pixel_um=10 pad=off";

    @Rule public final TemporaryFolder folder = new TemporaryFolder();

    @Test
    public void errorCodesAreTheOnesOfTheLibrary() {
        Wagiri.load();
        List<String> ours = new ArrayList<>();
        for (ErrorCode code : ErrorCode.values()) {
            ours.add(code.status() + " " + code.name());
        }
        assertArrayEquals(ours.toArray(), Native.errorTable());
    }

    @Test
    public void versionAndPathAreTold() {
        assertTrue(Wagiri.version(), Wagiri.version().matches("\\d+\\.\\d+\\.\\d+.*"));
        assertFalse(Wagiri.nativePath().isEmpty());
    }

    @Test
    public void contextKeepsItsOptionsAndKnowsTheStages() {
        try (Context context = Context.create(2, 1L << 30, "cpu")) {
            assertEquals(2, context.threads());
            assertEquals(1L << 30, context.memoryBytes());
            List<String> ids = context.stages().stream().map(StageInfo::id).collect(Collectors.toList());
            assertTrue(ids.toString(), ids.contains("recon.fbp"));
            StageInfo ring = context.stages().get(ids.indexOf("ring.sort"));
            ParamInfo kernel = ring.params().get(0);
            assertEquals("kernel_px int px 5", kernel.name() + " " + kernel.kind() + " " + kernel.unit() + " "
                    + kernel.defaultValue());
            assertEquals("start raw", context.stages().get(0).place() + " " + context.stages().get(0).id());
            assertEquals("end", context.stages().get(ids.indexOf("write.tiff")).place());
            assertEquals("between", ring.place());
            StageInfo fbp = context.stages().get(ids.indexOf("recon.fbp"));
            assertEquals("sinogram volume", fbp.input() + " " + fbp.output());
            ParamInfo filter = fbp.params().stream().filter(p -> p.name().equals("filter")).findFirst().get();
            assertTrue(filter.words().contains("chesler"));
        }
    }

    @Test
    public void framesAndSinogramsComeBack() {
        try (Context context = Context.create(1, 0, "cpu");
                Scan scan = Disc.scan()) {
            ScanInfo info = scan.info();
            assertEquals(Disc.VIEWS, info.views());
            assertEquals(Disc.ROWS, info.rows());
            assertEquals(Disc.COLS, info.cols());
            assertEquals(2, info.flats());
            assertEquals(Disc.PIXEL_UM, info.pixelUm(), 0);
            assertArrayEquals(Disc.geometry().anglesRad(), info.anglesRad(), 0);
            assertEquals(20000f, scan.flat(1)[5], 0);
            assertEquals(100f, scan.dark()[5], 0);
            assertEquals(scan.view(7)[2 * Disc.COLS + 30], scan.sinogram(2)[7 * Disc.COLS + 30], 0);
            // exp and ln in 32 bits: a relative error of 6e-8 in counts, so about 1e-7 in absorbance; ten times that.
            float[] row = java.util.Arrays.copyOf(scan.normalisedSinogram(context, 1), Disc.COLS);
            assertArrayEquals(Disc.projection(), row, 1e-6f);
            assertArrayEquals(row, java.util.Arrays.copyOf(scan.normalisedView(3), Disc.COLS), 0);
        }
    }

    @Test
    public void aBlackViewIsReplacedInASinogramAndShownAsAProjection() {
        int black = 3;
        try (Context context = Context.create(1, 0, "cpu");
                Scan scan = Disc.scan(black)) {
            float[] sinogram = scan.normalisedSinogram(context, 1);
            float[] line = java.util.Arrays.copyOfRange(sinogram, black * Disc.COLS, (black + 1) * Disc.COLS);
            // All other views are the same: so is their mean. For the tolerance see above.
            assertArrayEquals(Disc.projection(), line, 1e-6f);
            // At its floor of 2 counts out of 19900 a view is ln(9950) = 9.2 everywhere.
            for (float p : scan.normalisedView(black)) {
                assertEquals(Math.log(9950), p, 1e-5);
            }
        }
    }

    @Test
    public void aDiscComesBackInPerCentimetre() {
        try (Context context = Context.create()) {
            float[] slice = Ops.reconstruct(context, Disc.sinogram(), Disc.geometry(), "chesler", false, null);
            // 64 columns: the edge of the disc falls between pixels, which is worth up to one part in 40 of the radius.
            assertEquals(Disc.MU_PER_CM, Disc.meanInside(slice), 0.02 * Disc.MU_PER_CM);
        }
    }

    @Test
    public void previewConsumerAndFilesAgree() throws Exception {
        String out = new File(folder.getRoot(), "出力 1").getPath();
        try (Context context = Context.create(2, 0, "auto");
                Scan scan = Disc.scan();
                Chain chain = Chain.parse(context, CHAIN)) {
            ChainPlan plan = chain.plan(context, scan, 1, 3, null);
            assertEquals(1, plan.firstRow());
            assertEquals(3, plan.endRow());
            assertEquals(Disc.COLS, plan.width());
            assertEquals(2L * Disc.COLS * Disc.COLS * 4, plan.diskBytes());
            assertEquals("30.5", plan.center());
            Slice preview = chain.preview(context, scan, 2, null);
            List<Integer> rows = new ArrayList<>();
            List<float[]> slices = new ArrayList<>();
            Thread caller = Thread.currentThread();
            SliceConsumer consumer =
                    (z, pixels, width, height) -> {
                        assertEquals(caller, Thread.currentThread());
                        rows.add(z);
                        slices.add(pixels);
                    };
            RunSummary summary = chain.run(context, scan, consumer, 1, 3, null);
            assertEquals(2, summary.slices());
            assertEquals("[1, 2]", rows.toString());
            assertArrayEquals(preview.pixels(), slices.get(1), 0);
            assertEquals(Disc.MU_PER_CM, Disc.meanInside(preview.pixels()), 0.02 * Disc.MU_PER_CM);
            assertTrue(summary.max() >= summary.min());
            List<Long> done = new ArrayList<>();
            ProgressListener listener =
                    (d, total, fraction, eta) -> {
                        assertEquals(caller, Thread.currentThread());
                        assertTrue(fraction >= 0 && fraction <= 1);
                        done.add(d);
                        return true;
                    };
            assertEquals(3, chain.run(context, scan, out, listener).slices());
            assertFalse(done.isEmpty());
            for (int z = 0; z < 3; z++) {
                assertTrue(new File(out, String.format(Locale.ROOT, "rec%05d.tif", z)).isFile());
            }
            chain.set("recon.fbp", "filter", "ramp");
            assertTrue(chain.text(), chain.text().contains("filter=ramp"));
            assertNotNull(chain.preview(context, scan, 0, null));
        }
    }

    @Test
    public void aStoppedRunIsContinuedAndReportsTellWhereTheTimeGoes() throws Exception {
        String out = new File(folder.getRoot(), "resume").getPath();
        try (Context context = Context.create(1, 0, "cpu");
                Scan scan = Disc.scan();
                Chain chain = Chain.parse(context, CHAIN)) {
            List<ProgressReport> reports = new ArrayList<>();
            ProgressListener listener =
                    new ProgressListener() {
                        @Override
                        public boolean progress(long done, long total, double fraction, double etaSeconds) {
                            throw new AssertionError("report is overridden");
                        }

                        @Override
                        public boolean report(ProgressReport report) {
                            reports.add(report);
                            return true;
                        }
                    };
            RunOptions options = new RunOptions().resume(true);
            try {
                chain.run(context, scan, out, options, listener);
                throw new AssertionError("there is nothing to continue");
            } catch (WagiriException e) {
                assertEquals(ErrorCode.NOT_FOUND, e.code());
            }
            assertEquals(0, chain.run(context, scan, out, new RunOptions(), listener).found());
            ProgressReport last = reports.get(reports.size() - 1);
            assertEquals(last.total(), last.done());
            assertTrue(last.seconds().toString(), last.seconds().containsKey("recon.fbp"));
            double sum = last.seconds().values().stream().mapToDouble(Double::doubleValue).sum();
            assertTrue(sum <= last.elapsedSeconds() + 1e-6);
            RunSummary again = chain.run(context, scan, out, options, listener);
            assertEquals(again.slices(), again.found());
        }
    }

    @Test
    public void aChainInTwoPartsGivesWhatTheWholeGives() throws Exception {
        String end = "filter.gaussian sigma_z_px=1 | volume.bin bin=1";
        String files = new File(folder.getRoot(), "half way").getPath();
        try (Context context = Context.create(2, 0, "cpu");
                Scan raw = Disc.scan();
                Chain first = Chain.parse(context, CHAIN);
                Chain second = Chain.parse(context, "volume | " + end);
                Chain whole = Chain.parse(context, CHAIN + " | " + end)) {
            List<float[]> slices = new ArrayList<>();
            first.run(context, raw, (z, pixels, width, height) -> slices.add(pixels), null);
            first.run(context, raw, files, null);
            float[] wanted = whole.preview(context, raw, 1, null).pixels();
            try (Scan memory = Scan.fromVolume(slices::get, slices.size(), Disc.COLS, Disc.COLS, Disc.PIXEL_UM);
                    Scan disk = second.open(files, new ScanOptions())) {
                assertEquals("volume", memory.info().pixels());
                assertEquals("volume slices 3", disk.info().pixels() + " " + disk.info().format() + " " + disk.info().rows());
                assertEquals(Disc.PIXEL_UM, disk.info().pixelUm(), 0);
                assertArrayEquals(wanted, second.preview(context, memory, 1, null).pixels(), 0);
                assertArrayEquals(wanted, second.preview(context, disk, 1, null).pixels(), 0);
                assertEquals(3, second.slices(context, disk));
                ChainPlan plan = second.plan(context, memory, null);
                assertTrue(plan.computeSeconds() > 0);
                assertEquals(plan.haloBelow(), plan.haloAbove());
                assertTrue(plan.haloBelow() > 0);
            }
            try (Chain sinograms = Chain.parse(context, "sinograms | recon.fbp center_px=30.5 pixel_um=10 pad=off");
                    Scan memory =
                            Scan.fromSinograms(
                                    z -> raw.normalisedSinogram(context, z), Disc.ROWS, Disc.COLS, Disc.geometry())) {
                assertEquals("sinogram", memory.info().pixels());
                assertArrayEquals(slices.get(2), sinograms.preview(context, memory, 2, null).pixels(), 0);
            }
        }
        assertEquals(0, Wagiri.openHandles());
    }

    @Test
    public void aChainTellsWhatItIsAndReadsBackFromItsFile() {
        try (Context context = Context.create(1, 0, "cpu");
                Chain chain = Chain.parse(context, "volume path=/a | filter.median | write.tiff type=u8 dir=/b");
                Chain again = Chain.parse(context, chain.toToml())) {
            assertEquals(chain.text(), again.text());
            assertEquals("volume volume", again.input() + " " + again.output());
            assertTrue(again.path(), again.path().endsWith("a"));
            assertEquals("/b", again.outDir());
            assertEquals("ro00012.tif", again.fileName(12));
        }
        try (Context context = Context.create(1, 0, "cpu");
                Chain chain = Chain.parse(context, "normalise")) {
            assertEquals("counts sinogram", chain.input() + " " + chain.output());
            assertEquals("s00000.tif", chain.fileName(0));
            assertEquals(null, chain.path());
            assertEquals(null, chain.outDir());
            assertThrows(ErrorCode.INVALID, "no data given", chain::open);
        }
    }

    @Test
    public void aSupplierThatFailsOrGivesTheWrongSizeIsTold() {
        assertThrows(ErrorCode.INVALID, "slice 1: expected 3 x 2 = 6 values",
                () -> Scan.fromVolume(z -> new float[6 - z], 2, 2, 3, 1));
        assertThrows(ErrorCode.INVALID, "slice 0: expected", () -> Scan.fromVolume(z -> null, 2, 2, 3, 1));
        assertThrows(ErrorCode.INVALID, "whole slices", () -> Scan.fromVolume(new float[7], 2, 3, 1));
        assertThrows(ErrorCode.LIMIT, "no memory for it", () -> Scan.fromVolume(z -> null, 0x7fffffff, 0x7fffffff, 0x7fffffff, 1));
        IllegalStateException own = new IllegalStateException("of the supplier");
        try {
            Scan.fromVolume(z -> {
                throw own;
            }, 2, 2, 3, 1);
            throw new AssertionError("nothing was thrown");
        } catch (IllegalStateException e) {
            assertEquals(own, e);
        }
        assertTrue(Wagiri.checkPlugin("/no/such/file.so").get(0).startsWith("FAIL"));
    }

    private static void assertThrows(ErrorCode code, String text, Runnable call) {
        try {
            call.run();
        } catch (WagiriException e) {
            assertEquals(e.getMessage(), code, e.code());
            assertTrue(e.getMessage(), e.getMessage().contains(text));
            return;
        }
        throw new AssertionError("nothing was thrown");
    }
}
