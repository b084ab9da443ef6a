/**
 * wagiri for Java: from the raw frames of a synchrotron CT scan to a volume of linear attenuation coefficients in 1/cm.
 *
 * <p>Start with {@link org.wagiri.Context}, {@link org.wagiri.Scan} and {@link org.wagiri.Chain}. Failures are
 * {@link org.wagiri.WagiriException}. Nothing here knows ImageJ.
 */
package org.wagiri;
