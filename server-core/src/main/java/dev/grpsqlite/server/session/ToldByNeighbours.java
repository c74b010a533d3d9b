package dev.grpsqlite.server.session;

import dev.grpsqlite.server.spi.DatabaseId;
import dev.grpsqlite.server.spi.Neighbours;
import dev.grpsqlite.server.spi.SessionId;

/** Passes on what other servers of the same engine did. Thread-safe. */
public final class ToldByNeighbours implements Neighbours.Listener {
  private final Heads heads;
  private final Leases leases;

  public ToldByNeighbours(Heads heads, Leases leases) {
    this.heads = heads;
    this.leases = leases;
  }

  @Override
  public void headMayHaveMoved(DatabaseId database) {
    heads.mayHaveMoved(database);
  }

  @Override
  public void leaseMayBeFree(DatabaseId database) {
    leases.mayBeFree(database);
  }

  @Override
  public void leaseWanted(SessionId holder, DatabaseId database, long epoch) {
    leases.wantedElsewhere(holder, database, epoch);
  }
}
