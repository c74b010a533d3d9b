/** What nothing can be faster than: the bare transport, and a sync of the disk. */
@NullMarked
package dev.grpsqlite.bench.baseline;

import org.jspecify.annotations.NullMarked;
