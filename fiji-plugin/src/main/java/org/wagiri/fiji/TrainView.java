package org.wagiri.fiji;

import ij.IJ;
import ij.ImagePlus;
import ij.gui.Plot;
import ij.gui.PlotWindow;
import java.awt.BorderLayout;
import java.awt.Button;
import java.awt.Color;
import java.awt.Dimension;
import java.awt.EventQueue;
import java.awt.Frame;
import java.awt.Label;
import java.awt.Point;
import java.awt.Window;
import java.awt.event.WindowAdapter;
import java.awt.event.WindowEvent;
import java.io.File;
import java.lang.reflect.InvocationTargetException;
import java.util.List;
import org.wagiri.EpochLoss;
import org.wagiri.TrainListener;
import org.wagiri.TrainProgress;

/** What is seen of a training: a plot of the losses, a sample slice, and a small window with the button that stops it. */
final class TrainView implements TrainListener {
    static final String PLOT = "Wagiri loss";
    static final String CONTROL = "Wagiri training";
    /** So many epochs are drawn with a mark for each. */
    private static final int MARKED = 60;
    /** Losses that differ by more than this factor are drawn on a logarithmic axis. */
    private static final double WIDE = 3;
    /** Part of the height that is left free above and below the curves. */
    private static final double ROOM = 0.06;
    /** Height that is shown at least, as a part of the loss. */
    private static final double LEAST = 0.01;
    private static final int MARGIN = 20;
    private static final Color TRAINING = new Color(0x1f77b4);
    private static final Color VALIDATION = new Color(0xd62728);

    private final SamplePreview preview;
    private Frame control;
    private Label status;
    private PlotWindow plot;
    private volatile boolean stopped;
    private int drawn;
    private boolean placed;

    TrainView(File preview) {
        this.preview = new SamplePreview(preview);
    }

    @Override
    public boolean step(TrainProgress progress) {
        if (control == null) {
            onEventThread(this::open);
        }
        String line = TrainRunner.line(progress);
        EventQueue.invokeLater(() -> status.setText(line));
        if (drawn < progress.history().size()) {
            drawn = progress.history().size();
            draw(progress.history());
        }
        look();
        return !stopped;
    }

    /** The last sample comes after the last step. */
    void end() {
        look();
        if (control != null) {
            onEventThread(control::dispose);
        }
    }

    private void look() {
        if (preview.update() && !placed && plot != null && !plot.isClosed()) {
            placed = true;
            preview.placeBeside(plot);
        }
    }

    private void open() {
        control = new Frame(CONTROL);
        status = new Label("Training begins; it can be stopped and continued at any time");
        Button stop = new Button("Stop and save");
        stop.addActionListener(e -> stop(stop));
        control.addWindowListener(
                new WindowAdapter() {
                    @Override
                    public void windowClosing(WindowEvent e) {
                        stop(stop);
                    }
                });
        control.add(status, BorderLayout.CENTER);
        control.add(stop, BorderLayout.SOUTH);
        // Escape works here as in every window of ImageJ.
        if (IJ.getInstance() != null) {
            control.addKeyListener(IJ.getInstance());
            stop.addKeyListener(IJ.getInstance());
            Point corner = IJ.getInstance().getLocation();
            control.setLocation(corner.x, corner.y + IJ.getInstance().getHeight() + MARGIN);
        }
        control.pack();
        control.setVisible(true);
    }

    private void stop(Button button) {
        stopped = true;
        button.setEnabled(false);
        button.setLabel("Stopping after this step ...");
    }

    private void draw(List<EpochLoss> history) {
        Plot next = plot(history);
        if (plot == null) {
            plot = next.show();
            if (control != null) {
                plot.setLocation(control.getX(), control.getY() + control.getHeight() + MARGIN);
            }
        } else if (!plot.isClosed()) {
            plot.drawPlot(next);
        }
    }

    static Plot plot(List<EpochLoss> history) {
        double[] epochs = new double[history.size()];
        double[] training = new double[epochs.length];
        double[] validation = new double[epochs.length];
        double least = Double.POSITIVE_INFINITY;
        double most = 0;
        for (int i = 0; i < epochs.length; i++) {
            EpochLoss loss = history.get(i);
            epochs[i] = loss.epoch();
            training[i] = loss.training();
            validation[i] = loss.validation();
            least = Math.min(least, Math.min(training[i], validation[i]));
            most = Math.max(most, Math.max(training[i], validation[i]));
        }
        int shape = epochs.length > MARKED ? Plot.LINE : Plot.CONNECTED_CIRCLES;
        Plot plot = new Plot(PLOT, "Epoch", "Mean squared error (normalised)");
        plot.setColor(TRAINING, TRAINING);
        plot.addPoints(epochs, training, shape);
        plot.setColor(VALIDATION, VALIDATION);
        plot.addPoints(epochs, validation, shape);
        plot.setColor(Color.BLACK);
        boolean wide = least > 0 && most > WIDE * least;
        plot.setAxisYLog(wide);
        double room = wide ? Math.pow(most / least, ROOM) : ROOM * Math.max(most - least, LEAST * most);
        double bottom = wide ? least / room : least - room;
        plot.setLimits(0, epochs.length + 1, bottom, wide ? most * room : most + room);
        plot.addLegend("training\nvalidation");
        return plot;
    }

    private static void onEventThread(Runnable action) {
        if (EventQueue.isDispatchThread()) {
            action.run();
            return;
        }
        try {
            EventQueue.invokeAndWait(action);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } catch (InvocationTargetException e) {
            throw new IllegalStateException(e.getCause());
        }
    }

    /** The sample slice as an image: noisy on the left, denoised on the right. */
    static final class SamplePreview {
        static final String TITLE = "Wagiri sample: noisy | denoised";
        private final File file;
        private long read;
        private ImagePlus shown;

        SamplePreview(File file) {
            this.file = file;
            // What an earlier training left is not shown.
            read = file.lastModified();
        }

        /** Shows the file if it is new; true if an image is open. */
        boolean update() {
            long written = file.lastModified();
            if (written == 0 || written == read) {
                return shown != null && shown.isVisible();
            }
            read = written;
            ImagePlus next = SampleSlice.read(file);
            if (next == null || shown != null && !shown.isVisible()) {
                return false;
            }
            if (shown == null) {
                shown = SampleSlice.sideBySide(next, TITLE);
                double[] range = SampleSlice.range(next);
                if (range != null) {
                    shown.setDisplayRange(range[0], range[1]);
                }
                shown.show();
                return true;
            }
            // With the range that it has now, which the user may have changed.
            double[] range = {shown.getDisplayRangeMin(), shown.getDisplayRangeMax()};
            shown.setProcessor(SampleSlice.sideBySide(next, TITLE).getProcessor());
            shown.setDisplayRange(range[0], range[1]);
            shown.updateAndDraw();
            return true;
        }

        /** To the right of the plot if there is room, else below. */
        void placeBeside(PlotWindow plot) {
            Window window = shown.getWindow();
            if (window == null) {
                return;
            }
            Dimension screen = IJ.getScreenSize();
            int right = plot.getX() + plot.getWidth() + MARGIN;
            if (right + window.getWidth() <= screen.width) {
                window.setLocation(right, plot.getY());
            } else {
                int x = Math.max(0, Math.min(plot.getX(), screen.width - window.getWidth()));
                window.setLocation(x, plot.getY() + plot.getHeight() + MARGIN);
            }
        }
    }
}
