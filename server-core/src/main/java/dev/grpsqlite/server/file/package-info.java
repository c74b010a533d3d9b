/**
 * The file service over the SPI: the bytes of a database file as pages, other files as they are.
 */
@NullMarked
package dev.grpsqlite.server.file;

import org.jspecify.annotations.NullMarked;
