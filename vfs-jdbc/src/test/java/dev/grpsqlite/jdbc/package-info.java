@NullMarked
package dev.grpsqlite.jdbc;

import org.jspecify.annotations.NullMarked;
