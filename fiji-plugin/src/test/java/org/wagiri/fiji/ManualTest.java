package org.wagiri.fiji;

import static org.junit.Assert.assertTrue;

import java.io.File;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import org.junit.Test;

/** The manual tells what is there. Surefire runs in the folder of this module. */
public class ManualTest {
    private static String text(File file) throws Exception {
        return new String(Files.readAllBytes(file.toPath()), StandardCharsets.UTF_8);
    }

    @Test
    public void everyKeyDefaultAndMacroIsInTheManual() throws Exception {
        String manual = text(Paths.get("..", "docs", "fiji.md").toFile());
        for (Spec spec : SpecTest.COMMANDS) {
            int start = manual.indexOf("## " + spec.command);
            String section = manual.substring(start, manual.indexOf("\n## ", start + 1));
            for (Field field : spec.fields) {
                assertTrue(spec.command + " " + field.key, section.contains("`" + field.key + "`"));
                for (String word : field.words) {
                    boolean above = section.contains("as above") && (field.key.equals("format") || field.key.equals("device"));
                    assertTrue(field.key + " " + word, above || section.contains("`" + word + "`"));
                }
            }
        }
        File[] macros = new File("macros").listFiles((dir, name) -> name.endsWith(".ijm"));
        assertTrue(macros.length >= 9);
        for (File macro : macros) {
            assertTrue(macro + " is not in the manual as it is", manual.contains(text(macro)));
        }
    }
}
