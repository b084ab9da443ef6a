package org.wagiri;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;

/**
 * Finds the native library, in this order:
 *
 * <ol>
 *   <li>the file named by {@code -Dwagiri.native.path} or the environment variable {@code WAGIRI_NATIVE}; if one is
 *       given, nothing else is tried, so that a mistake in it cannot hide;
 *   <li>the copy inside the jar, {@code natives/<platform>/}, unpacked into a fresh folder of the temporary folder (a
 *       library can be loaded by one class loader only, and ImageJ makes a new one on "Refresh Menus");
 *   <li>the same, unpacked into the user's cache folder, for temporary folders where nothing may be executed;
 *   <li>{@code System.loadLibrary("wagiri")}.
 * </ol>
 *
 * <p>What it asks of the machine goes through protected methods, which tests replace.
 */
class LibraryFinder {
    private static final String PREFIX = "wagiri-native-";
    private static final long LEFTOVER_AGE_MS = TimeUnit.DAYS.toMillis(1);

    private final List<String> tried = new ArrayList<>();

    /** Loads the library and returns where it was found; throws with every try and its reason. */
    String load() {
        String explicit = explicitPath();
        if (explicit != null && !explicit.isEmpty()) {
            return loadExplicit(explicit);
        }
        String platform = platform(property("os.name"), property("os.arch"));
        String resource = "/natives/" + platform + "/" + libraryName(platform);
        for (Path folder : unpackFolders()) {
            String found = tryUnpacked(resource, folder);
            if (found != null) {
                return found;
            }
        }
        try {
            systemLoadLibrary();
            return checked("java.library.path");
        } catch (UnsatisfiedLinkError e) {
            tried.add("java.library.path: " + sentence(e));
        }
        throw failure();
    }

    private String loadExplicit(String explicit) {
        Path file = Paths.get(explicit).toAbsolutePath();
        if (!Files.isRegularFile(file)) {
            tried.add(file + " (named by wagiri.native.path or WAGIRI_NATIVE): no such file");
            throw failure();
        }
        try {
            systemLoad(file);
            return checked(file.toString());
        } catch (UnsatisfiedLinkError e) {
            tried.add(file + " (named by wagiri.native.path or WAGIRI_NATIVE): " + sentence(e));
            if (!String.valueOf(e.getMessage()).contains("already loaded in another classloader")) {
                throw failure();
            }
        }
        for (Path folder : unpackFolders()) {
            try (InputStream in = Files.newInputStream(file)) {
                return loadCopy(in, folder, file.getFileName().toString());
            } catch (IOException | UnsatisfiedLinkError e) {
                tried.add("copy in " + folder + ": " + sentence(e));
            }
        }
        throw failure();
    }

    private String tryUnpacked(String resource, Path folder) {
        try (InputStream in = resource(resource)) {
            if (in == null) {
                String reason = "inside the jar: there is no " + resource.substring(1);
                if (!tried.contains(reason)) {
                    tried.add(reason);
                }
                return null;
            }
            return loadCopy(in, folder, resource.substring(resource.lastIndexOf('/') + 1));
        } catch (IOException | UnsatisfiedLinkError e) {
            tried.add("unpacked into " + folder + ": " + sentence(e));
            return null;
        }
    }

    private String loadCopy(InputStream in, Path folder, String name) throws IOException {
        Files.createDirectories(folder);
        deleteLeftovers(folder);
        Path fresh = Files.createTempDirectory(folder, PREFIX);
        Path file = fresh.resolve(name);
        boolean mapped = false;
        try {
            Files.copy(in, file, StandardCopyOption.REPLACE_EXISTING);
            systemLoad(file);
            mapped = true;
            return checked(file.toString());
        } finally {
            // A loaded file can be deleted at once everywhere but on Windows, where it stays for deleteLeftovers.
            if (!mapped || !isWindows()) {
                Files.deleteIfExists(file);
                Files.deleteIfExists(fresh);
            }
        }
    }

    private boolean isWindows() {
        return property("os.name").toLowerCase(Locale.ROOT).contains("windows");
    }

    private String checked(String where) {
        int abi;
        try {
            abi = systemAbiVersion();
        } catch (UnsatisfiedLinkError e) {
            throw new WagiriException(
                    ErrorCode.UNAVAILABLE, "the native library " + where + " is not one of wagiri, or too old");
        }
        if (abi != NativeLibrary.ABI_VERSION) {
            throw new WagiriException(
                    ErrorCode.UNAVAILABLE,
                    "the native library " + where + " does not fit these Java classes; install both from one release"
                            + " (library ABI = " + abi + ", classes = " + NativeLibrary.ABI_VERSION + ")");
        }
        return where;
    }

    private WagiriException failure() {
        String platform = property("os.name") + " " + property("os.arch");
        return new WagiriException(
                ErrorCode.UNAVAILABLE,
                "cannot load the native library of wagiri on " + platform + "; tried " + String.join("; ", tried));
    }

    private static String sentence(Throwable e) {
        return e instanceof IOException ? e.toString() : String.valueOf(e.getMessage());
    }

    private static void deleteLeftovers(Path folder) {
        long limit = System.currentTimeMillis() - LEFTOVER_AGE_MS;
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder, PREFIX + "*")) {
            for (Path entry : entries) {
                if (Files.getLastModifiedTime(entry).toMillis() < limit) {
                    File[] files = entry.toFile().listFiles();
                    for (File file : files == null ? new File[0] : files) {
                        Files.deleteIfExists(file.toPath());
                    }
                    Files.deleteIfExists(entry);
                }
            }
        } catch (IOException e) {
            // Another process still uses it, or another user owns it; the next start tries again.
            return;
        }
    }

    /** Folder name below {@code natives/}. */
    static String platform(String osName, String osArch) {
        String os = osName.toLowerCase(Locale.ROOT);
        String arch = osArch.toLowerCase(Locale.ROOT);
        String family = os.contains("windows") ? "windows" : os.contains("mac") ? "osx" : "linux";
        boolean arm = arch.equals("aarch64") || arch.equals("arm64");
        boolean x64 = arch.equals("amd64") || arch.equals("x86_64");
        return family + "_" + (arm ? "arm64" : x64 ? "64" : arch);
    }

    /** File name of the library on a platform. */
    static String libraryName(String platform) {
        if (platform.startsWith("windows")) {
            return "wagiri.dll";
        }
        return platform.startsWith("osx") ? "libwagiri.dylib" : "libwagiri.so";
    }

    String property(String name) {
        return System.getProperty(name, "");
    }

    String explicitPath() {
        String path = property("wagiri.native.path");
        return path.isEmpty() ? System.getenv("WAGIRI_NATIVE") : path;
    }

    List<Path> unpackFolders() {
        List<Path> folders = new ArrayList<>();
        folders.add(Paths.get(property("java.io.tmpdir")));
        String local = isWindows() ? System.getenv("LOCALAPPDATA") : System.getenv("XDG_CACHE_HOME");
        Path cache = local != null && !local.isEmpty() ? Paths.get(local) : Paths.get(property("user.home"), ".cache");
        folders.add(cache.resolve("wagiri"));
        return folders;
    }

    InputStream resource(String name) {
        return LibraryFinder.class.getResourceAsStream(name);
    }

    void systemLoad(Path file) {
        System.load(file.toString());
    }

    void systemLoadLibrary() {
        System.loadLibrary("wagiri");
    }

    int systemAbiVersion() {
        return Native.abiVersion();
    }
}
