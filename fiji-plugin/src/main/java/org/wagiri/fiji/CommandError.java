package org.wagiri.fiji;

/** A mistake of the user, told in one sentence. */
final class CommandError extends RuntimeException {
    private static final long serialVersionUID = 1L;

    CommandError(String message) {
        super(message);
    }
}
