/**
 * Long runs of recorded clients against one server, while connections fail and processes are killed
 * and stopped.
 */
@NullMarked
package dev.grpsqlite.e2e.soak;

import org.jspecify.annotations.NullMarked;
