package org.wagiri;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertSame;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.File;
import org.junit.After;
import org.junit.Before;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

public class FailureTest {
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

    private static void assertFails(ErrorCode code, String part, org.junit.function.ThrowingRunnable call) {
        WagiriException e = assertThrows(WagiriException.class, call);
        assertEquals(e.getMessage(), code, e.code());
        assertTrue(e.getMessage(), e.getMessage().contains(part));
    }

    @Test
    public void errorsCarryCodeAndSentence() {
        assertFails(ErrorCode.INVALID, "device: expected auto, cpu, gpu, cuda or wgpu", () -> Context.create(0, 0, "tpu"));
        assertFails(ErrorCode.INVALID, "threads", () -> Context.create(-1, 0, "auto"));
        assertFails(ErrorCode.UNAVAILABLE, "GPU", () -> Context.create(0, 0, "gpu"));
        assertFails(ErrorCode.NOT_FOUND, "nowhere", () -> Scan.open(new File(folder.getRoot(), "nowhere").getPath()));
        assertFails(ErrorCode.NOT_FOUND, "did you mean 'recon.fbp'", () -> Chain.parse(context, "normalise | recon.fpb"));
        assertFails(ErrorCode.NOT_FOUND, "center_px", () -> chain.set("recon.fbp", "centre_px", "3"));
        assertFails(ErrorCode.INVALID, "rows", () -> chain.run(context, scan, folder.getRoot().getPath(), 2, 9, null));
        assertFails(ErrorCode.INVALID, "view: the scan has views 0 to 89", () -> scan.view(90));
        assertFails(ErrorCode.INVALID, "row: the detector has rows 0 to 2", () -> scan.sinogram(3));
        assertFails(ErrorCode.INVALID, "row: expected a whole number", () -> scan.sinogram(-1));
        assertFails(ErrorCode.INVALID, "path: must not be null", () -> context.loadPlugin(null));
        assertFails(ErrorCode.INVALID, "filter: expected ramp", () ->
                Ops.reconstruct(context, Disc.sinogram(), Disc.geometry(), "hann", false, null));
        assertFails(ErrorCode.INVALID, "views x cols", () ->
                Ops.reconstruct(context, new float[91], Disc.geometry(), "ramp", false, null));
        assertFails(ErrorCode.INVALID, "whole frames", () ->
                Scan.fromArrays(new float[7], new float[4], new float[4], 2, Geometry.halfTurn(2, 0.5, 1)));
    }

    @Test
    public void aPanicBecomesAnExceptionWithItsText() {
        assertFails(ErrorCode.INTERNAL, "panic in the native library: on purpose: 輪切り 42", () ->
                Wagiri.panicForTest("輪切り 42"));
        assertEquals(2, context.threads());
    }

    @Test
    public void anExceptionOfAListenerComesBackAsItself() {
        IllegalArgumentException thrown = new IllegalArgumentException("mine");
        ProgressListener listener =
                (done, total, fraction, eta) -> {
                    throw thrown;
                };
        assertSame(thrown, assertThrows(IllegalArgumentException.class, () -> chain.preview(context, scan, 0, listener)));
        String out = new File(folder.getRoot(), "out").getPath();
        assertSame(thrown, assertThrows(IllegalArgumentException.class, () -> chain.run(context, scan, out, listener)));
    }

    @Test
    public void anErrorOfAConsumerComesBackAsItself() {
        Error thrown = new AssertionError("consumer");
        SliceConsumer consumer =
                (z, pixels, width, height) -> {
                    throw thrown;
                };
        assertSame(thrown, assertThrows(AssertionError.class, () -> chain.run(context, scan, consumer, null)));
    }

    @Test
    public void aListenerCanCancel() {
        String out = new File(folder.getRoot(), "out").getPath();
        int[] calls = {0};
        ProgressListener listener = (done, total, fraction, eta) -> ++calls[0] < 2;
        assertFails(ErrorCode.CANCELLED, "cancelled", () -> chain.run(context, scan, out, listener));
        assertEquals(2, calls[0]);
    }

    @Test
    public void closeTwiceIsFineAndUseAfterCloseIsRefused() {
        scan.close();
        scan.close();
        assertTrue(scan.isClosed());
        IllegalStateException e = assertThrows(IllegalStateException.class, () -> scan.view(0));
        assertEquals("Scan is closed", e.getMessage());
        context.close();
        assertThrows(IllegalStateException.class, context::threads);
    }

    @Test
    public void staleAndForeignIdsAreErrorsNotCrashes() {
        assertFails(ErrorCode.INVALID, "closed or of another kind", () -> Native.scanInfo(context.id()));
        assertFails(ErrorCode.INVALID, "closed or of another kind", () -> Native.contextThreads(-5));
        Native.free(123456789);
    }

    @Test
    public void closingWhileRunningLetsTheRunFinish() {
        boolean[] closed = {false};
        ProgressListener listener =
                (done, total, fraction, eta) -> {
                    if (!closed[0]) {
                        closed[0] = true;
                        scan.close();
                        chain.close();
                        context.close();
                    }
                    return true;
                };
        Slice slice = chain.preview(context, scan, 1, listener);
        assertTrue(closed[0]);
        assertEquals(Disc.MU_PER_CM, Disc.meanInside(slice.pixels()), 0.02 * Disc.MU_PER_CM);
    }

    @Test
    public void aHundredRunsLeaveNothingBehind() {
        int before = Wagiri.openHandles();
        for (int i = 0; i < 100; i++) {
            try (Context one = Context.create(1, 1 << 28, "cpu");
                    Scan other = Disc.scan();
                    Chain run = Chain.parse(one, RoundTripTest.CHAIN)) {
                run.preview(one, other, 0, null);
                assertEquals(before + 3, Wagiri.openHandles());
            }
        }
        assertEquals(before, Wagiri.openHandles());
    }
}
