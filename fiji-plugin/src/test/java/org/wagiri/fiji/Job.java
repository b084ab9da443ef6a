package org.wagiri.fiji;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import java.io.File;
import java.io.IOException;
import java.lang.reflect.Method;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/** What the tests of the finished jar share: data, macros, and the same job done through the Java classes. */
final class Job {
    static final String TOOTH = data("tooth/tooth.h5");

    private Job() {}

    static String data(String name) {
        return Paths.get(System.getProperty("wagiri.data"), name).normalize().toString().replace('\\', '/');
    }

    static File jar() {
        File jar = new File(System.getProperty("wagiri.jar"));
        assertTrue(jar + " is missing", jar.isFile());
        return jar;
    }

    static String macro(String name) throws IOException {
        return read(Paths.get(System.getProperty("wagiri.macros"), name));
    }

    static String read(Path file) throws IOException {
        return new String(Files.readAllBytes(file), StandardCharsets.UTF_8);
    }

    /** Names of the files in a folder, sorted; without the record and the chain of the run, which tell how it was asked for. */
    static String list(Path folder) {
        return Arrays.toString(names(folder));
    }

    private static String[] names(Path folder) {
        String[] names = folder.toFile().list((dir, name) -> !name.startsWith("wagiri-"));
        Arrays.sort(names);
        return names;
    }

    static void assertSameFiles(Path expected, Path actual) throws IOException {
        assertEquals(list(expected), list(actual));
        for (String name : names(expected)) {
            assertArrayEquals(
                    name, Files.readAllBytes(expected.resolve(name)), Files.readAllBytes(actual.resolve(name)));
        }
    }

    /** Runs {@code wagiri run}, the program that was built beside the library under test. */
    static void runInTerminal(String scan, Path out, String... options) throws Exception {
        File folder = new File(System.getProperty("wagiri.native.path")).getParentFile();
        boolean windows = System.getProperty("os.name").startsWith("Windows");
        List<String> words = new ArrayList<>();
        Collections.addAll(words, new File(folder, windows ? "wagiri.exe" : "wagiri").getPath(), "run", scan);
        words.add(out.toString());
        Collections.addAll(words, options);
        Path log = out.resolveSibling(out.getFileName() + ".log");
        Process process = new ProcessBuilder(words).redirectErrorStream(true).redirectOutput(log.toFile()).start();
        int code = process.waitFor();
        assertEquals(read(log), 0, code);
    }

    /** The example plugin, which was built beside the library under test. */
    static String plugin() {
        File folder = new File(System.getProperty("wagiri.native.path")).getParentFile();
        File plugin = new File(folder, System.mapLibraryName("example_gain"));
        assertTrue(plugin + " is missing: cargo build --workspace", plugin.isFile());
        return plugin.getPath().replace('\\', '/');
    }

    /** Runs a chain through org.wagiri out of the jar, in a class loader of its own. */
    static void runInJava(String scan, String chain, Path out, String... plugins) throws Exception {
        try (URLClassLoader loader = new URLClassLoader(new URL[] {jar().toURI().toURL()}, null)) {
            Class<?> contexts = loader.loadClass("org.wagiri.Context");
            Class<?> scans = loader.loadClass("org.wagiri.Scan");
            Class<?> chains = loader.loadClass("org.wagiri.Chain");
            Class<?> listeners = loader.loadClass("org.wagiri.ProgressListener");
            Method run = chains.getMethod("run", contexts, scans, String.class, listeners);
            Method load = contexts.getMethod("loadPlugin", String.class);
            try (AutoCloseable context = (AutoCloseable) contexts.getMethod("create").invoke(null)) {
                for (String plugin : plugins) {
                    load.invoke(context, plugin);
                }
                try (AutoCloseable opened = (AutoCloseable) scans.getMethod("open", String.class).invoke(null, scan);
                        AutoCloseable parsed =
                                (AutoCloseable)
                                        chains.getMethod("parse", contexts, String.class).invoke(null, context, chain)) {
                    run.invoke(parsed, context, opened, out.toString(), null);
                }
            }
        }
    }
}
