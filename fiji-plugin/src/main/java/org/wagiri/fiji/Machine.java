package org.wagiri.fiji;

import org.wagiri.Context;

/** The fields that say where to compute and with how much, and the plugins to load. */
final class Machine {
    private Machine() {}

    static Field device() {
        return Field.choice("device", "Device", "auto", "cpu", "gpu", "cuda", "wgpu");
    }

    static Field threads() {
        return Field.integerOrAuto("threads", "Threads").beside();
    }

    static Field memory() {
        return Field.numberOrAuto("memory_gb", "Memory_gb (outside Java)").beside();
    }

    static Field plugin() {
        return Field.path("plugin", "Plugin (library that you trust; several with ;)");
    }

    static Context context(Values values) {
        return context(values, values.text("device"));
    }

    /** Where the field {@code device} is another one's. */
    static Context context(Values values, String device) {
        if (values.text("threads").equals("0")) {
            throw new CommandError("threads: expected a whole number of at least 1 or auto");
        }
        double gigabytes = values.number("memory_gb", 0);
        if (!values.isAuto("memory_gb") && gigabytes <= 0) {
            throw new CommandError("memory_gb: expected a number greater than 0 or auto");
        }
        long bytes = Math.round(gigabytes * 1e9);
        return Context.create(values.integer("threads", 0), bytes, device);
    }

    /** Loads what the user named, and nothing else. */
    static void load(Context context, String plugins) {
        for (String path : plugins.split(";")) {
            if (!path.trim().isEmpty()) {
                context.loadPlugin(path.trim());
            }
        }
    }
}
