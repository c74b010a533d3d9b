/** What a user is promised, shown from outside. */
@NullMarked
package dev.grpsqlite.e2e;

import org.jspecify.annotations.NullMarked;
