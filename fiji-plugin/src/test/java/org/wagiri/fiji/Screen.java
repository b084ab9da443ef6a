package org.wagiri.fiji;

import ij.IJ;
import ij.gui.GenericDialog;
import java.awt.Button;
import java.awt.Checkbox;
import java.awt.Choice;
import java.awt.Component;
import java.awt.Container;
import java.awt.EventQueue;
import java.awt.GraphicsEnvironment;
import java.awt.Label;
import java.awt.Rectangle;
import java.awt.Robot;
import java.awt.TextField;
import java.awt.Toolkit;
import java.awt.Window;
import java.awt.event.ActionEvent;
import java.io.File;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.FutureTask;
import javax.imageio.ImageIO;
import org.junit.Assert;
import org.junit.Assume;

/** Drives the dialogs of ImageJ from inside the same JVM. */
final class Screen {
    private static final long PATIENCE_MS = 30_000;

    private Screen() {}

    /** Skips the test where there is no screen; on a build server that is a failure. */
    static void need() {
        if (!GraphicsEnvironment.isHeadless()) {
            return;
        }
        String reason = "no screen: set DISPLAY, or run under xvfb-run";
        if (System.getenv("CI") != null) {
            Assert.fail(reason);
        }
        System.out.println("WindowIT skipped: " + reason);
        Assume.assumeTrue(reason, false);
    }

    static <T> T onEventThread(Callable<T> call) throws Exception {
        FutureTask<T> task = new FutureTask<>(call);
        EventQueue.invokeLater(task);
        return task.get();
    }

    /** Waits until the condition holds. */
    static void await(String what, Callable<Boolean> condition) throws Exception {
        long end = System.currentTimeMillis() + PATIENCE_MS;
        while (!condition.call()) {
            if (System.currentTimeMillis() > end) {
                screenshot("in-vain");
                Assert.fail("waited in vain for " + what + "; see in-vain.png; the Log says:\n" + IJ.getLog());
            }
            Thread.sleep(10);
        }
    }

    static GenericDialog dialog(String title) throws Exception {
        GenericDialog[] found = new GenericDialog[1];
        await("the dialog '" + title + "'", () -> {
            for (Window window : Window.getWindows()) {
                if (window instanceof GenericDialog
                        && window.isShowing()
                        && ((GenericDialog) window).getTitle().equals(title)) {
                    found[0] = (GenericDialog) window;
                }
            }
            return found[0] != null;
        });
        return found[0];
    }

    /** Sets the field whose label begins with the given text. */
    static void set(GenericDialog dialog, String label, String value) throws Exception {
        onEventThread(() -> {
            Component field = field(dialog, label);
            if (field instanceof TextField) {
                ((TextField) field).setText(value);
            } else if (field instanceof Choice) {
                ((Choice) field).select(value);
                Assert.assertEquals(value, ((Choice) field).getSelectedItem());
            } else {
                ((Checkbox) field).setState(Boolean.parseBoolean(value));
            }
            return null;
        });
    }

    static void press(GenericDialog dialog, int button) throws Exception {
        onEventThread(() -> {
            Button pressed = dialog.getButtons()[button];
            pressed.dispatchEvent(new ActionEvent(pressed, ActionEvent.ACTION_PERFORMED, pressed.getActionCommand()));
            return null;
        });
    }

    static void screenshot(String name) throws Exception {
        File folder = new File(System.getProperty("wagiri.screenshots"));
        folder.mkdirs();
        // Painting is asynchronous; an idle event queue twice in a row means that it is done.
        Robot robot = new Robot();
        robot.waitForIdle();
        Thread.sleep(300);
        Rectangle all = new Rectangle(Toolkit.getDefaultToolkit().getScreenSize());
        ImageIO.write(robot.createScreenCapture(all), "png", new File(folder, name + ".png"));
    }

    private static Component field(GenericDialog dialog, String label) {
        List<Component> all = new ArrayList<>();
        collect(dialog, all);
        for (int i = 0; i < all.size(); i++) {
            Component c = all.get(i);
            if (c instanceof Checkbox && ((Checkbox) c).getLabel().startsWith(label)) {
                return c;
            }
            if (c instanceof Label && ((Label) c).getText().startsWith(label)) {
                for (Component next : all.subList(i + 1, all.size())) {
                    if (next instanceof TextField || next instanceof Choice) {
                        return next;
                    }
                }
            }
        }
        throw new AssertionError("no field '" + label + "'");
    }

    private static void collect(Container container, List<Component> into) {
        for (Component c : container.getComponents()) {
            into.add(c);
            if (c instanceof Container) {
                collect((Container) c, into);
            }
        }
    }
}
