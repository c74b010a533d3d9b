@NullMarked
package dev.grpsqlite.cli;

import org.jspecify.annotations.NullMarked;
