package dev.grpsqlite.server.session;

import java.util.Optional;

/**
 * At which head a lease is wanted.
 *
 * @param have the version that the caller has; empty if it does not care
 * @param atAnyVersion whether it wants the lease also if the head is another
 */
public record LeaseWish(Optional<KnownVersion> have, boolean atAnyVersion) {
  public static final LeaseWish ANY = new LeaseWish(Optional.empty(), true);
}
