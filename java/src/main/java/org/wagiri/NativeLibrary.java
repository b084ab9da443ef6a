package org.wagiri;

/** Loads the native library once per class loader and remembers how that went. */
final class NativeLibrary {
    /** Raised whenever a native method changes; {@code src/jni} carries the same number. */
    static final int ABI_VERSION = 4;

    private static String loadedFrom;
    private static WagiriException failure;

    private NativeLibrary() {}

    static synchronized void load() {
        if (loadedFrom != null) {
            return;
        }
        if (failure == null) {
            try {
                loadedFrom = new LibraryFinder().load();
                return;
            } catch (WagiriException e) {
                failure = e;
            }
        }
        throw new WagiriException(failure.code(), failure.getMessage());
    }

    static synchronized String loadedFrom() {
        return loadedFrom;
    }
}
