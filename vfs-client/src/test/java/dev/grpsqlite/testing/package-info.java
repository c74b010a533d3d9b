@NullMarked
package dev.grpsqlite.testing;

import org.jspecify.annotations.NullMarked;
