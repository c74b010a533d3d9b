@NullMarked
package dev.grpsqlite.e2e.soak;

import org.jspecify.annotations.NullMarked;
