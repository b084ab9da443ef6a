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
}
