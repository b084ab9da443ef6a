package org.wagiri.fiji;

import java.util.LinkedHashMap;
import java.util.Map;

/** What the user chose: one checked text per field of a {@link Spec}. */
final class Values {
    private final Map<String, String> byKey = new LinkedHashMap<>();

    Values set(String key, String value) {
        byKey.put(key, value);
        return this;
    }

    Values copy() {
        Values copy = new Values();
        copy.byKey.putAll(byKey);
        return copy;
    }

    String text(String key) {
        String value = byKey.get(key);
        if (value == null) {
            throw new IllegalArgumentException("no field '" + key + "'");
        }
        return value;
    }

    boolean flag(String key) {
        return text(key).equals("true");
    }

    boolean isAuto(String key) {
        return text(key).equals("auto");
    }

    int integer(String key) {
        return Integer.parseInt(text(key));
    }

    int integer(String key, int ifAuto) {
        return isAuto(key) ? ifAuto : integer(key);
    }

    double number(String key, double ifAuto) {
        return isAuto(key) ? ifAuto : Double.parseDouble(text(key));
    }
}
