/** Where a process spends its time: what a report shows beside a bar that was missed. */
@NullMarked
package dev.grpsqlite.bench.profile;

import org.jspecify.annotations.NullMarked;
