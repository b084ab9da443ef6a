package org.wagiri;

/** What went wrong, for programs. The same table as in the Rust library and the C header. */
public enum ErrorCode {
    /** An argument, option or parameter is outside what is accepted. */
    INVALID(1),
    /** A file, folder, frame, stage or parameter that was named does not exist. */
    NOT_FOUND(2),
    /** The input is valid, but of a kind that this version does not handle. */
    UNSUPPORTED(3),
    /** A file is malformed or truncated, or its parts contradict each other. */
    FORMAT(4),
    /** The operating system refused to read or write. */
    IO(5),
    /** A memory budget, disk space or size limit does not suffice. */
    LIMIT(6),
    /** A device, driver or optional component (also: the native library) is not there. */
    UNAVAILABLE(7),
    /** The caller asked to stop. */
    CANCELLED(8),
    /** A plugin could not be loaded, broke its contract, or failed. */
    PLUGIN(9),
    /** A defect of wagiri itself; please report it. */
    INTERNAL(10);

    private final int status;

    ErrorCode(int status) {
        this.status = status;
    }

    /** The value of {@code wagiri_status} in the C header. */
    public int status() {
        return status;
    }

    static ErrorCode of(int status) {
        for (ErrorCode code : values()) {
            if (code.status == status) {
                return code;
            }
        }
        return INTERNAL;
    }
}
