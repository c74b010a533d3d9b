/**
 * JDBC on databases at a gRPSQLite server: {@link dev.grpsqlite.jdbc.GrpsqliteDataSource}, or
 * {@code jdbc:grpsqlite://host:port/name} by the driver registry.
 *
 * <p>The connections are sqlite-jdbc's own, in whose SQLite the VFS is registered once. It does not
 * become the default there: {@code jdbc:sqlite:} URLs mean what they meant.
 */
@NullMarked
package dev.grpsqlite.jdbc;

import org.jspecify.annotations.NullMarked;
