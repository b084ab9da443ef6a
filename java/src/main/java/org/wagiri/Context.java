package org.wagiri;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/** Thread pool, memory budget, device choice and the known stages. Thread-safe. */
public final class Context extends NativeHandle {
    private Context(long id) {
        super(id);
    }

    /** All cores, half of the free memory, the fastest device. */
    public static Context create() {
        return create(0, 0, "auto");
    }

    /**
     * @param threads compute threads, or 0 for all cores
     * @param memoryBytes memory for slabs and buffers outside the Java heap, or 0 for half of what is free
     * @param device {@code auto}, {@code cpu}, {@code gpu}, {@code cuda} or {@code wgpu}; only networks compute elsewhere than on the
     *     processor
     */
    public static Context create(int threads, long memoryBytes, String device) {
        Wagiri.load();
        return new Context(Native.contextNew(threads, memoryBytes, device));
    }

    /** Compute threads. */
    public int threads() {
        return Native.contextThreads(id());
    }

    /** Memory budget, bytes. */
    public long memoryBytes() {
        return Native.contextMemoryBytes(id());
    }

    /**
     * Loads a plugin library and adds its stages. It runs code of that file with all rights of the process: load only what
     * the user trusts. See also {@link Wagiri#checkPlugin}.
     */
    public void loadPlugin(String path) {
        Native.contextLoadPlugin(id(), path);
    }

    /** Everything that may stand in a chain: what it starts with, stages, plugins, what it ends with. */
    public List<StageInfo> stages() {
        return Collections.unmodifiableList(Arrays.asList(Native.contextStages(id())));
    }
}
