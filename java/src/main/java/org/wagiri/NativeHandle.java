package org.wagiri;

import java.util.concurrent.atomic.AtomicLong;

/**
 * An object that lives in the native library.
 *
 * <p>{@link #close()} may be called any number of times and from any thread; a call that is running at that moment
 * finishes undisturbed. Every other use after {@code close()} throws {@link IllegalStateException}.
 */
public abstract class NativeHandle implements AutoCloseable {
    private final AtomicLong id;

    NativeHandle(long id) {
        this.id = new AtomicLong(id);
    }

    /** The id for native calls; never 0. */
    final long id() {
        long value = id.get();
        if (value == 0) {
            throw new IllegalStateException(getClass().getSimpleName() + " is closed");
        }
        return value;
    }

    /** True after {@link #close()}. */
    public final boolean isClosed() {
        return id.get() == 0;
    }

    @Override
    public final void close() {
        long value = id.getAndSet(0);
        if (value != 0) {
            Native.free(value);
        }
    }
}
