package dev.grpsqlite.server.predict;

/**
 * What the pages of one version have in common.
 *
 * @param version of the database
 * @param pageSize in bytes
 * @param pageCount page numbers go from 1 to this
 */
public record Shape(long version, int pageSize, long pageCount) {}
