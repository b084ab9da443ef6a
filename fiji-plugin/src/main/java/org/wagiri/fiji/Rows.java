package org.wagiri.fiji;

/** The fields {@code first} and {@code last}: counted from 0, both included. */
final class Rows {
    private Rows() {}

    /** The last one, checked against what is there. */
    static int last(Values values, int first, int available, String what) {
        int last = values.integer("last", available - 1);
        if (first > last || last >= available) {
            throw new CommandError(
                    "first, last: there are " + available + " " + what + ", so 0 <= first <= last <= "
                            + (available - 1) + " is needed (first = " + first + ", last = " + last + ")");
        }
        return last;
    }
}
