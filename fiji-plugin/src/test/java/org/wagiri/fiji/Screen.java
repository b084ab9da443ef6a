package org.wagiri.fiji;

import ij.IJ;
import ij.ImageJ;
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
import java.awt.event.KeyEvent;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
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

    /** Starts stock ImageJ with the finished jar in its plugins folder. */
    static ImageJ imageJ(Path folder) throws Exception {
        need();
        Path home = Files.createDirectories(folder.resolve("imagej"));
        Path plugins = Files.createDirectories(home.resolve("plugins"));
        Files.copy(Job.jar().toPath(), plugins.resolve(Job.jar().getName()));
        System.setProperty("plugins.dir", home.toString());
        System.setProperty("user.home", home.toString());
        ImageJ imageJ = new ImageJ(null, ImageJ.EMBEDDED);
        await("the window of ImageJ", imageJ::isShowing);
        return imageJ;
    }

    /** Presses a menu entry, as a user does. */
    static void choose(String command) {
        IJ.doCommand(command);
    }

    /**
     * ImageJ runs a command in a thread of that name, which writes to the Recorder last. A command that begins before is
     * lost to the Recorder.
     */
    static void awaitEnd(String command) throws Exception {
        await(
                "the end of " + command,
                () -> Thread.getAllStackTraces().keySet().stream().noneMatch(t -> t.getName().equals(command)));
    }

    static void pressEscape(ImageJ imageJ) throws Exception {
        onEventThread(() -> {
            imageJ.toFront();
            imageJ.requestFocus();
            return null;
        });
        await("the focus", imageJ::isFocused);
        Robot robot = new Robot();
        robot.keyPress(KeyEvent.VK_ESCAPE);
        robot.keyRelease(KeyEvent.VK_ESCAPE);
        robot.waitForIdle();
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
        press(dialog.getButtons()[button]);
    }

    static void press(Button pressed) throws Exception {
        settle();
        onEventThread(() -> {
            pressed.dispatchEvent(new ActionEvent(pressed, ActionEvent.ACTION_PERFORMED, pressed.getActionCommand()));
            return null;
        });
    }

    /** Closes a message, as its OK does. */
    static void dismiss(Window message) throws Exception {
        settle();
        onEventThread(() -> {
            message.dispose();
            return null;
        });
    }

    /**
     * A modal dialog is "showing" a moment before it waits for its end. Answered at that very moment, which no user can do,
     * the command has been seen to hang.
     */
    private static void settle() throws Exception {
        new Robot().waitForIdle();
        Thread.sleep(200);
    }

    static void screenshot(String name) throws Exception {
        File folder = new File(System.getProperty("wagiri.screenshots"));
        folder.mkdirs();
        settle();
        Rectangle all = new Rectangle(Toolkit.getDefaultToolkit().getScreenSize());
        ImageIO.write(new Robot().createScreenCapture(all), "png", new File(folder, name + ".png"));
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
