package dev.grpsqlite.server.admission;

import java.time.Duration;

/**
 * How much can be under way, so that one client cannot take what all need (P9). Of calls and their
 * bytes the clients of one address have half at most.
 *
 * @param connections of all clients
 * @param connectionsPerAddress of the clients of one address; all Unix sockets are one
 * @param connectionIdle after so long without a call a connection is closed
 * @param stall how long a connection may take to begin, a request to go on arriving, and an answer
 *     to be taken
 * @param headerBytes of a request's metadata
 * @param resetsPerSecond a client that gives up its calls faster than this is cut off
 * @param calls of all connections together
 * @param callBytes of requests, from when they begin to arrive until they are answered, and of
 *     answers that clients have not taken
 */
public record AdmissionLimits(
    int connections,
    int connectionsPerAddress,
    Duration connectionIdle,
    Duration stall,
    int headerBytes,
    int resetsPerSecond,
    int calls,
    long callBytes) {

  public static final AdmissionLimits DEFAULTS =
      new AdmissionLimits(
          10_000,
          2_500,
          Duration.ofMinutes(10),
          Duration.ofSeconds(60),
          8192,
          1000,
          20_000,
          64L << 20);
}
