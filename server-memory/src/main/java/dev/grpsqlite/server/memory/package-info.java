/** A {@link dev.grpsqlite.server.spi.PageStore} in the heap. */
@NullMarked
package dev.grpsqlite.server.memory;

import org.jspecify.annotations.NullMarked;
