package org.wagiri;

/** Any failure reported by wagiri: a code for programs, and one sentence for people. */
public final class WagiriException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final ErrorCode code;

    /** Called by the native library. */
    WagiriException(int status, String message) {
        this(ErrorCode.of(status), message);
    }

    /**
     * @param code what went wrong
     * @param message one sentence: what, where, and what would be accepted
     */
    public WagiriException(ErrorCode code, String message) {
        super(message);
        this.code = code;
    }

    /** What went wrong. */
    public ErrorCode code() {
        return code;
    }
}
