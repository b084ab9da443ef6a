package org.wagiri.fiji;

/** Where the Help button leads. */
final class Help {
    static final String URL =
            "<html><h2>wagiri</h2>From the raw frames of a synchrotron CT scan to a volume in 1/cm."
                    + "<ul><li>Rows and slices are counted from 0; <i>last</i> is included."
                    + "<li><i>auto</i> lets wagiri find the value."
                    + "<li>Escape stops within one slice and keeps the finished ones."
                    + "<li>In a macro an absent flag is off; other absent keys have the default of a fresh dialog."
                    + "</ul>The full manual is docs/fiji.md of the source distribution.";

    private Help() {}
}
