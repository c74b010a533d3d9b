package dev.grpsqlite.server.spi;

/**
 * What a store can do beyond what every store must.
 *
 * @param timeTravel any retained version can be opened, not those alone that sessions have pinned
 * @param commitGroup several databases can be committed together, all or none
 * @param fork copy-on-write forks
 */
public record StoreCapabilities(boolean timeTravel, boolean commitGroup, boolean fork) {}
