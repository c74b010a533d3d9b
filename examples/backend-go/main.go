// A storage server for gRPSQLite: the file service with atomic batches and timestamped reads,
// persistent in one bbolt file.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"example.org/grpsqlite/backend-go/filepb"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:50051", "HOST:PORT to serve")
	data := flag.String("data", "backend-go.db", "the file that everything is in")
	retention := flag.Duration("retention", 10*time.Minute, "how long old snapshots are kept")
	flag.Parse()

	store, err := OpenStore(*data, *retention)
	if err != nil {
		log.Fatalf("backend-go: cannot open %s: %v", *data, err)
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatalf("backend-go: %v", err)
	}
	server := grpc.NewServer()
	filepb.RegisterGrpsqliteServer(server, NewFileService(store))
	healthpb.RegisterHealthServer(server, health.NewServer())

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-stop
		server.GracefulStop()
	}()
	fmt.Printf("backend-go listening on %s\n", listener.Addr())
	if err := server.Serve(listener); err != nil {
		log.Fatalf("backend-go: %v", err)
	}
	if err := store.Close(); err != nil {
		log.Fatalf("backend-go: %v", err)
	}
}
