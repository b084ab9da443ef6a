package org.wagiri;

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
