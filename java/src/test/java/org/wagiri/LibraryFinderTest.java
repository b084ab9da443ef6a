package org.wagiri;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.InputStream;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

/** The order in which the native library is looked for, and the real loading from unusual places. */
public class LibraryFinderTest {
    @Rule public final TemporaryFolder folder = new TemporaryFolder();

    /** A machine that a test describes; nothing is really loaded. */
    private final class Machine extends LibraryFinder {
        String explicit;
        boolean inJar = true;
        boolean inLibraryPath;
        int abi = NativeLibrary.ABI_VERSION;
        final List<String> noexec = new ArrayList<>();
        final List<String> loaded = new ArrayList<>();
        final Path temp = folder.getRoot().toPath().resolve("temp");
        final Path cache = folder.getRoot().toPath().resolve("cache");

        @Override
        String property(String name) {
            return name.equals("os.name") ? "Linux" : name.equals("os.arch") ? "amd64" : "";
        }

        @Override
        String explicitPath() {
            return explicit;
        }

        @Override
        List<Path> unpackFolders() {
            return Arrays.asList(temp, cache);
        }

        @Override
        InputStream resource(String name) {
            assertEquals("/natives/linux_64/libwagiri.so", name);
            return inJar ? new ByteArrayInputStream(new byte[] {1, 2, 3}) : null;
        }

        @Override
        void systemLoad(Path file) {
            assertTrue(Files.isRegularFile(file));
            for (String bad : noexec) {
                if (file.startsWith(bad)) {
                    throw new UnsatisfiedLinkError("failed to map segment from shared object");
                }
            }
            loaded.add(file.toString());
        }

        @Override
        void systemLoadLibrary() {
            if (!inLibraryPath) {
                throw new UnsatisfiedLinkError("no wagiri in java.library.path");
            }
        }

        @Override
        int systemAbiVersion() {
            return abi;
        }
    }

    @Test
    public void aNamedFileComesFirst() throws Exception {
        Machine machine = new Machine();
        machine.explicit = folder.newFile("mine.so").getPath();
        assertEquals(machine.explicit, machine.load());
        assertEquals(Arrays.asList(machine.explicit), machine.loaded);
    }

    @Test
    public void aNamedFileThatIsMissingIsNotReplacedSilently() {
        Machine machine = new Machine();
        machine.explicit = new File(folder.getRoot(), "missing.so").getPath();
        WagiriException e = assertThrows(WagiriException.class, machine::load);
        assertEquals(ErrorCode.UNAVAILABLE, e.code());
        assertTrue(e.getMessage(), e.getMessage().contains("missing.so (named by wagiri.native.path"));
        assertTrue(machine.loaded.isEmpty());
    }

    @Test
    public void theJarComesNextAndLeavesNothingBehind() {
        Machine machine = new Machine();
        assertTrue(Paths.get(machine.load()).startsWith(machine.temp));
        assertEquals(0, machine.temp.toFile().list().length);
    }

    @Test
    public void theCacheIsUsedWhereTheTemporaryFolderMayNotExecute() {
        Machine machine = new Machine();
        machine.noexec.add(machine.temp.toString());
        assertTrue(Paths.get(machine.load()).startsWith(machine.cache));
        assertEquals(0, machine.temp.toFile().list().length);
    }

    @Test
    public void theLibraryPathIsLast() {
        Machine machine = new Machine();
        machine.inJar = false;
        machine.inLibraryPath = true;
        assertEquals("java.library.path", machine.load());
    }

    @Test
    public void theErrorListsEveryTry() {
        Machine machine = new Machine();
        machine.noexec.add(folder.getRoot().getPath());
        String message = assertThrows(WagiriException.class, machine::load).getMessage();
        assertTrue(message, message.startsWith("cannot load the native library of wagiri on Linux amd64; tried "));
        assertTrue(message, message.contains("unpacked into " + machine.temp + ": failed to map segment"));
        assertTrue(message, message.contains("unpacked into " + machine.cache + ": failed to map segment"));
        assertTrue(message, message.contains("java.library.path: no wagiri in java.library.path"));
        Machine without = new Machine();
        without.inJar = false;
        message = assertThrows(WagiriException.class, without::load).getMessage();
        assertTrue(message, message.contains("inside the jar: there is no natives/linux_64/libwagiri.so"));
    }

    @Test
    public void aLibraryOfAnotherReleaseIsRefused() {
        Machine machine = new Machine();
        machine.abi = 999;
        String message = assertThrows(WagiriException.class, machine::load).getMessage();
        assertTrue(message, message.contains("does not fit these Java classes"));
        assertTrue(message, message.contains("library ABI = 999"));
    }

    @Test
    public void leftoversOlderThanADayAreRemoved() throws Exception {
        Machine machine = new Machine();
        Path old = Files.createDirectories(machine.temp.resolve("wagiri-native-old"));
        Files.write(old.resolve("libwagiri.so"), new byte[1]);
        Files.setLastModifiedTime(old, FileTime.fromMillis(System.currentTimeMillis() - 25L * 3600 * 1000));
        Path fresh = Files.createDirectories(machine.temp.resolve("wagiri-native-fresh"));
        Path other = Files.createDirectories(machine.temp.resolve("somebody-else"));
        Files.setLastModifiedTime(other, FileTime.fromMillis(0));
        machine.load();
        assertFalse(Files.exists(old));
        assertTrue(Files.exists(fresh));
        assertTrue(Files.exists(other));
    }

    @Test
    public void platformsHaveTheNamesOfTheFolders() {
        assertEquals("linux_64", LibraryFinder.platform("Linux", "amd64"));
        assertEquals("linux_arm64", LibraryFinder.platform("Linux", "aarch64"));
        assertEquals("osx_arm64", LibraryFinder.platform("Mac OS X", "aarch64"));
        assertEquals("osx_64", LibraryFinder.platform("Mac OS X", "x86_64"));
        assertEquals("windows_64", LibraryFinder.platform("Windows 11", "amd64"));
        assertEquals("wagiri.dll", LibraryFinder.libraryName("windows_64"));
        assertEquals("libwagiri.dylib", LibraryFinder.libraryName("osx_arm64"));
    }

    /** Classes of this module in a class loader of their own, with a library inside as in the released jar. */
    private URLClassLoader freshLoader(Path natives) throws Exception {
        URL classes = Wagiri.class.getProtectionDomain().getCodeSource().getLocation();
        URL[] urls = natives == null ? new URL[] {classes} : new URL[] {natives.toUri().toURL(), classes};
        return new URLClassLoader(urls, null);
    }

    private static String pathLoadedBy(ClassLoader loader) throws Exception {
        Class<?> wagiri = Class.forName("org.wagiri.Wagiri", true, loader);
        assertNotEquals(Wagiri.class, wagiri);
        assertEquals(Wagiri.version(), wagiri.getMethod("version").invoke(null));
        return (String) wagiri.getMethod("nativePath").invoke(null);
    }

    @Test
    public void twoClassLoadersLoadTheSameFile() throws Exception {
        String named = System.getProperty("wagiri.native.path");
        assertFalse("run the tests with -Dwagiri.native.path=FILE", named == null || named.isEmpty());
        assertEquals(Wagiri.version(), Wagiri.version());
        try (URLClassLoader a = freshLoader(null);
                URLClassLoader b = freshLoader(null)) {
            // This JVM has loaded the named file already, so both must have made a copy.
            assertNotEquals(named, pathLoadedBy(a));
            assertNotEquals(pathLoadedBy(a), pathLoadedBy(b));
        }
    }

    @Test
    public void aJarInAFolderWithBlanksAndJapaneseWorks() throws Exception {
        String named = System.getProperty("wagiri.native.path");
        String platform = LibraryFinder.platform(System.getProperty("os.name"), System.getProperty("os.arch"));
        Path root = Files.createDirectories(folder.getRoot().toPath().resolve("a 輪切り b"));
        Path file = root.resolve("natives").resolve(platform).resolve(LibraryFinder.libraryName(platform));
        Files.createDirectories(file.getParent());
        Files.copy(Paths.get(named), file, StandardCopyOption.REPLACE_EXISTING);
        Path temp = Files.createDirectories(folder.getRoot().toPath().resolve("temp 一時"));
        String oldTemp = System.setProperty("java.io.tmpdir", temp.toString());
        System.clearProperty("wagiri.native.path");
        try (URLClassLoader loader = freshLoader(root)) {
            assertTrue(Paths.get(pathLoadedBy(loader)).startsWith(temp));
        } finally {
            System.setProperty("wagiri.native.path", named);
            System.setProperty("java.io.tmpdir", oldTemp);
        }
    }
}
