package dev.grpsqlite.conformance;

import dev.grpsqlite.proto.v1.Capabilities;
import java.util.function.Predicate;

/** What a server must offer for a rule to be about it. */
enum Need {
  FILE("", Service.FILE, offer -> true),
  FILE_BATCH("atomic_batch", Service.FILE, offer -> offer.files().getAtomicBatch()),
  FILE_NO_BATCH("no atomic_batch", Service.FILE, offer -> !offer.files().getAtomicBatch()),
  FILE_TIME("point_in_time_reads", Service.FILE, offer -> offer.files().getPointInTimeReads()),
  FILE_NO_TIME(
      "no point_in_time_reads", Service.FILE, offer -> !offer.files().getPointInTimeReads()),
  PAGE("", Service.PAGE, offer -> true),
  PAGE_GROUP("commit_group", Capabilities::getCommitGroup),
  PAGE_NO_GROUP("no commit_group", can -> !can.getCommitGroup()),
  PAGE_WATCH("watch", Capabilities::getWatch),
  PAGE_LZ4("lz4", Capabilities::getLz4),
  PAGE_TIME("time_travel", Capabilities::getTimeTravel),
  PAGE_NO_TIME("no time_travel", can -> !can.getTimeTravel()),
  ADMIN("the Admin service", Service.PAGE, Offer::admin),
  ADMIN_WATCH(
      "the Admin service and watch",
      Service.PAGE,
      offer -> offer.admin() && offer.can().getWatch()),
  ADMIN_TIME(
      "the Admin service and time_travel",
      Service.PAGE,
      offer -> offer.admin() && offer.can().getTimeTravel()),
  ADMIN_NO_TIME(
      "the Admin service without time_travel",
      Service.PAGE,
      offer -> offer.admin() && !offer.can().getTimeTravel()),
  ADMIN_FORK(
      "the Admin service and fork", Service.PAGE, offer -> offer.admin() && offer.can().getFork()),
  ADMIN_NO_FORK(
      "the Admin service without fork",
      Service.PAGE,
      offer -> offer.admin() && !offer.can().getFork());

  private final String text;
  private final Service service;

  @SuppressWarnings("ImmutableEnumChecker") // They are functions of nothing else.
  private final Predicate<Offer> satisfied;

  Need(String text, Service service, Predicate<Offer> satisfied) {
    this.text = text;
    this.service = service;
    this.satisfied = satisfied;
  }

  Need(String text, Predicate<Capabilities> satisfied) {
    this(text, Service.PAGE, offer -> satisfied.test(offer.can()));
  }

  /** Empty: whatever has the service. */
  String text() {
    return text;
  }

  Service service() {
    return service;
  }

  /** Only to be asked of a server that has the service. */
  boolean isSatisfiedBy(Offer offer) {
    return satisfied.test(offer);
  }
}
