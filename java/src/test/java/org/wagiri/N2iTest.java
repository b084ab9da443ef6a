package org.wagiri;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertSame;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.File;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import org.junit.After;
import org.junit.Before;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

/** The whole way of Noise2Inverse on a disc; that it denoises is shown elsewhere. */
public class N2iTest {
    private static final int STEPS_IN_EPOCH = 4;

    @Rule public final TemporaryFolder folder = new TemporaryFolder();

    private Context context;
    private Scan scan;
    private Chain chain;

    @Before
    public void open() {
        context = Context.create(2, 0, "cpu");
        scan = Disc.scan();
        chain = Chain.parse(context, RoundTripTest.CHAIN);
    }

    @After
    public void nothingStaysOpen() {
        chain.close();
        scan.close();
        context.close();
        assertEquals(0, Wagiri.openHandles());
    }

    private String path(String name) {
        return new File(folder.getRoot(), name).getPath();
    }

    private static TrainOptions tiny() {
        return TrainOptions.small()
                .device("cpu")
                .channels(3)
                .baseWidth(8)
                .depth(1)
                .norm("batch")
                .patchPx(16)
                .batch(2)
                .slicesPerEpoch(2 * STEPS_IN_EPOCH)
                .epochs(2)
                .learningRate(1e-3)
                .warmupSteps(0)
                .decay("constant")
                .clipNorm(0)
                .average(0)
                .heldOut(1)
                .patience(0)
                .seed(3)
                .checkpointSeconds(60);
    }

    private void split(String work) {
        WorkInfo info = N2i.split(context, chain, scan, work, new SplitOptions().subsets(3), null);
        assertEquals(3, info.subsets());
        assertEquals(Disc.ROWS, info.slices());
        assertEquals(Disc.COLS, info.width());
        assertEquals(Disc.COLS, info.height());
        assertEquals(3, N2i.work(work).subsets());
    }

    @Test
    public void aStoppedTrainingGoesOnAndItsModelIsAChain() {
        String work = path("仕事 work");
        String model = path("model.safetensors");
        split(work);
        List<TrainProgress> seen = new ArrayList<>();
        Thread caller = Thread.currentThread();
        TrainListener stopping =
                progress -> {
                    assertEquals(caller, Thread.currentThread());
                    // The same step may come again.
                    if (seen.isEmpty() || seen.get(seen.size() - 1).step() != progress.step()) {
                        seen.add(progress);
                    }
                    return seen.size() < STEPS_IN_EPOCH + 2;
                };
        TrainSummary stopped = N2i.train(context, work, model, tiny(), stopping);
        assertEquals(TrainSummary.Ended.STOPPED, stopped.ended());
        assertEquals(STEPS_IN_EPOCH + 2, seen.size());
        assertEquals(1, stopped.history().size());
        assertTrue(new File(model).isFile());
        TrainProgress fourth = seen.get(STEPS_IN_EPOCH - 1);
        assertTrue(fourth.epochDone());
        assertFalse(seen.get(0).epochDone());
        assertEquals(2 * STEPS_IN_EPOCH, fourth.steps());
        assertEquals(STEPS_IN_EPOCH, fourth.step());
        assertEquals("1 of 2", fourth.epoch() + " of " + fourth.epochs());
        assertEquals(1, fourth.history().size());
        assertTrue(fourth.loss() > 0);
        EpochLoss first = fourth.history().get(0);
        assertEquals(1, first.epoch());
        assertEquals(STEPS_IN_EPOCH, first.steps());
        assertTrue(first.training() > 0 && first.validation() > 0 && first.seconds() >= 0);

        TrainSummary done = N2i.train(context, work, model, tiny().resume(true), null);
        assertEquals(TrainSummary.Ended.FINISHED, done.ended());
        assertEquals(2, done.history().size());
        assertEquals(first.training(), done.history().get(0).training(), 0);
        assertEquals("", done.reason());
        assertFalse(done.device().isEmpty());

        ModelInfo info = N2i.modelInfo(model);
        assertEquals(3, info.subsets());
        assertEquals("3 8 1 batch", info.channels() + " " + info.baseWidth() + " " + info.depth() + " " + info.norm());
        assertTrue(info.parameters() > 1000);
        assertTrue(info.spread() > 0);
        assertTrue(info.about().get("chain"), info.about().get("chain").contains("recon.fbp"));

        try (Chain apply = N2i.chain(chain, model)) {
            assertTrue(apply.text(), apply.text().contains("recon.n2i"));
            Slice slice = apply.preview(context, scan, 1, null);
            assertEquals(Disc.COLS, slice.width());
            for (float pixel : slice.pixels()) {
                assertFalse(Float.isNaN(pixel));
            }
        }
    }

    @Test
    public void anExceptionOfAListenerComesBackAsItselfAndTheTrainingIsSaved() {
        String work = path("work");
        String model = path("model.safetensors");
        split(work);
        IllegalArgumentException thrown = new IllegalArgumentException("mine");
        TrainListener listener =
                progress -> {
                    throw thrown;
                };
        assertSame(
                thrown,
                assertThrows(
                        IllegalArgumentException.class, () -> N2i.train(context, work, model, tiny(), listener)));
        assertTrue(new File(model).isFile());
    }

    @Test
    public void aSplitCanBeCancelledAndContinued() {
        String work = path("work");
        assertFails(ErrorCode.CANCELLED, "cancelled", () ->
                N2i.split(context, chain, scan, work, new SplitOptions().subsets(3), (d, t, f, e) -> false));
        WorkInfo info = N2i.split(context, chain, scan, work, new SplitOptions().subsets(3).resume(true), null);
        assertEquals(Disc.ROWS, info.slices());
    }

    @Test
    public void whatCannotBeIsToldInASentence() throws Exception {
        String work = path("work");
        String model = path("model.safetensors");
        SplitOptions many = new SplitOptions().subsets(60);
        assertFails(ErrorCode.INVALID, "needs at least 8", () -> N2i.split(context, chain, scan, work, many, null));
        SplitOptions negative = new SplitOptions().subsets(-1);
        assertFails(ErrorCode.INVALID, "subsets", () -> N2i.split(context, chain, scan, work, negative, null));
        split(work);
        assertFails(ErrorCode.INVALID, "preset: expected small or large", () ->
                N2i.train(context, work, model, TrainOptions.preset("huge"), null));
        assertFails(ErrorCode.INVALID, "device", () -> N2i.train(context, work, model, tiny().device("tpu"), null));
        assertFails(ErrorCode.INVALID, "odd number", () -> tiny().channels(4).check());
        tiny().check();
        assertFails(ErrorCode.INVALID, "decay: expected", () -> N2i.train(context, work, model, tiny().decay("no"), null));
        assertFails(ErrorCode.INVALID, "norm", () -> N2i.train(context, work, model, tiny().norm("no"), null));
        assertFails(ErrorCode.INVALID, "odd number", () -> N2i.train(context, work, model, tiny().channels(4), null));
        assertFails(ErrorCode.INVALID, "batch: expected", () -> N2i.train(context, work, model, tiny().batch(-5), null));
        assertFalse(new File(model).exists());
        Files.write(new File(model).toPath(), "no model".getBytes("UTF-8"));
        assertThrows(WagiriException.class, () -> N2i.modelInfo(model));
        try (Chain plain = Chain.parse(context, "normalise"); Chain apply = N2i.chain(chain, model)) {
            assertFails(ErrorCode.INVALID, "does not reconstruct", () -> N2i.chain(plain, model));
            assertThrows(WagiriException.class, () -> apply.plan(context, scan, null));
        }
        assertThrows(WagiriException.class, () -> N2i.work(path("nobody")));
    }

    private static void assertFails(ErrorCode code, String part, org.junit.function.ThrowingRunnable call) {
        WagiriException e = assertThrows(WagiriException.class, call);
        assertEquals(e.getMessage(), code, e.code());
        assertTrue(e.getMessage(), e.getMessage().contains(part));
    }
}
