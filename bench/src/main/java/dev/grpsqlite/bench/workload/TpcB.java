package dev.grpsqlite.bench.workload;

import dev.grpsqlite.bench.report.Bar;
import dev.grpsqlite.bench.report.Figure;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/** A transaction like TPC-B's: three balances, a line of history, one client. */
final class TpcB implements Workload {
  private static final int ACCOUNTS_OF_A_BRANCH = 1000;
  private static final int TELLERS_OF_A_BRANCH = 10;

  @Override
  public String name() {
    return "tpcb";
  }

  @Override
  public String about() {
    return "An operation is a transaction like TPC-B's: the balances of an account, its teller and its branch"
        + " are changed, the account's is read, and a line of history is written.";
  }

  @Override
  public List<Contender> prepare(Rig rig) throws Exception {
    List<Place> places = new ArrayList<>(List.of(rig.local("FULL"), rig.local("OFF")));
    places.add(rig.remote(Rig.MEMORY, 0));
    places.addAll(rig.remotes(Rig.ROCKSDB, rig.sizes().delaysMs()));
    List<Contender> contenders = new ArrayList<>();
    for (Place place : places) {
      Connection connection = rig.closing(place.open(place.own("tpcb")));
      make(connection, rig.sizes().branches());
      Transaction transaction = new Transaction(connection, rig.sizes().branches());
      contenders.add(
          new Contender(
              place.name(),
              () -> {
                if (!place.isRemote()) {
                  return new Sample(Timed.during(rig.sizes().sliceMs(), transaction::run).each());
                }
                Statistics before = Statistics.of(connection);
                Timed.Run run = Timed.during(rig.sizes().sliceMs(), transaction::run);
                return new Sample(
                    run.each(), Statistics.of(connection).trips(before, run.operations()));
              }));
    }
    return contenders;
  }

  private static void make(Connection connection, int branches) throws SQLException {
    Place.execute(
        connection,
        "BEGIN",
        "CREATE TABLE branch (id INTEGER PRIMARY KEY, balance INT, filler TEXT)",
        "CREATE TABLE teller (id INTEGER PRIMARY KEY, branch_id INT, balance INT, filler TEXT)",
        "CREATE TABLE account (id INTEGER PRIMARY KEY, branch_id INT, balance INT, filler TEXT)",
        "CREATE TABLE history (teller_id INT, branch_id INT, account_id INT, delta INT, at TEXT)",
        Sources.rows(branches) + "INSERT INTO branch SELECT i, 0, printf('%88s', '') FROM n",
        Sources.rows(branches * TELLERS_OF_A_BRANCH)
            + "INSERT INTO teller SELECT i, i % 10, 0, printf('%84s', '') FROM n",
        Sources.rows(branches * ACCOUNTS_OF_A_BRANCH)
            + "INSERT INTO account SELECT i, i % 1000, 0, printf('%84s', '') FROM n",
        "COMMIT");
    connection.setAutoCommit(false);
  }

  private static final class Transaction {
    private final Connection connection;
    private final PreparedStatement account;
    private final PreparedStatement read;
    private final PreparedStatement teller;
    private final PreparedStatement branch;
    private final PreparedStatement history;
    private final int branches;
    private final Random random = new Random(1); // the same in all places

    Transaction(Connection connection, int branches) throws SQLException {
      this.connection = connection;
      this.branches = branches;
      account =
          connection.prepareStatement("UPDATE account SET balance = balance + ? WHERE id = ?");
      read = connection.prepareStatement("SELECT balance FROM account WHERE id = ?");
      teller = connection.prepareStatement("UPDATE teller SET balance = balance + ? WHERE id = ?");
      branch = connection.prepareStatement("UPDATE branch SET balance = balance + ? WHERE id = ?");
      history = connection.prepareStatement("INSERT INTO history VALUES (?, ?, ?, ?, datetime())");
    }

    void run(int number) throws SQLException {
      int accountId = random.nextInt(branches * ACCOUNTS_OF_A_BRANCH) + 1;
      int tellerId = random.nextInt(branches * TELLERS_OF_A_BRANCH) + 1;
      int branchId = random.nextInt(branches) + 1;
      int delta = random.nextInt(10_000) - 5_000;
      add(account, delta, accountId);
      read.setInt(1, accountId);
      try (ResultSet row = read.executeQuery()) {
        if (!row.next()) {
          throw new SQLException("no account " + accountId);
        }
      }
      add(teller, delta, tellerId);
      add(branch, delta, branchId);
      history.setInt(1, tellerId);
      history.setInt(2, branchId);
      history.setInt(3, accountId);
      history.setInt(4, delta);
      history.executeUpdate();
      connection.commit();
    }

    private static void add(PreparedStatement update, int delta, int id) throws SQLException {
      update.setInt(1, delta);
      update.setInt(2, id);
      if (update.executeUpdate() != 1) {
        throw new SQLException("no row " + id);
      }
    }
  }

  @Override
  public List<Figure> judge(Measured measured) {
    return List.of(
        measured.ratio(
            "TPC-B-like transaction at 0 ms, RocksDB, to a local file",
            RemotePlace.name(Rig.ROCKSDB, 0),
            "local FULL",
            Bar.NONE));
  }
}
