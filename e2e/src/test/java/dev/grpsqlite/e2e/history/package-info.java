@NullMarked
package dev.grpsqlite.e2e.history;

import org.jspecify.annotations.NullMarked;
