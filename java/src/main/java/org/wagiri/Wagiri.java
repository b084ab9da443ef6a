package org.wagiri;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/** The library as a whole. */
public final class Wagiri {
    private Wagiri() {}

    /** Loads the native library if that has not happened yet; throws {@link WagiriException} that lists what was tried. */
    public static void load() {
        NativeLibrary.load();
    }

    /** Version of the native library. */
    public static String version() {
        load();
        return Native.version();
    }

    /** The file that the native library was loaded from. */
    public static String nativePath() {
        load();
        return NativeLibrary.loadedFrom();
    }

    /**
     * Loads a plugin library and tries each of its stages on small slabs, as {@code wagiri plugin check} does. A plugin that
     * crashes ends the JVM.
     *
     * @return one line per outcome, each begins with {@code ok} or with {@code FAIL}
     */
    public static List<String> checkPlugin(String path) {
        load();
        return Collections.unmodifiableList(Arrays.asList(Native.pluginCheck(path)));
    }

    /** Contexts, scans and chains that are open now; for leak tests and diagnostics. */
    public static int openHandles() {
        load();
        return Native.openHandles();
    }

    /**
     * Panics inside the native library, on purpose: shows that even a defect there becomes a {@link WagiriException}
     * with {@link ErrorCode#INTERNAL} that carries the text, and that the JVM lives on.
     */
    public static void panicForTest(String text) {
        load();
        Native.panicForTest(text);
    }
}
