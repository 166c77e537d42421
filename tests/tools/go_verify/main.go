// Says what crypto/tls says of certificate chains: a case in JSON on each line of the input, an error ("" for none) in
// JSON on each line of the output. The steps are those of a handshake, and Prometheus changes none of them.
//
// With an address as its argument (HOST:PORT), it is a client: it connects once for each line of the input, by TLS.
package main

import (
	"bufio"
	"crypto/dsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"
)

type question struct {
	Chain  [][]byte // as the peer sent it, leaf first
	Roots  []byte   // the CA file
	Name   string   // empty: names are not looked at
	Now    int64    // seconds since 1970
	Client bool     // whether the peer is a client
}

const longestKey = 8192

func main() {
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 64<<20)
	output := bufio.NewWriter(os.Stdout)
	defer output.Flush()
	told := json.NewEncoder(output)
	told.SetEscapeHTML(false)
	for input.Scan() {
		var asked question
		if err := json.Unmarshal(input.Bytes(), &asked); err != nil {
			fail(err)
		}
		var err error
		if len(os.Args) > 1 {
			err = connect(os.Args[1], asked)
		} else {
			err = judge(asked)
		}
		words := ""
		if err != nil {
			words = err.Error()
		}
		if err := told.Encode(words); err != nil {
			fail(err)
		}
	}
	if err := input.Err(); err != nil {
		fail(err)
	}
	fmt.Fprintln(os.Stderr, runtime.Version())
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "go_verify:", err)
	os.Exit(1)
}

func judge(asked question) error {
	peer, unread := "server", "tls: failed to parse certificate from server: %s"
	if asked.Client {
		peer, unread = "client", "tls: failed to parse client certificate: %s"
	}
	chain := make([]*x509.Certificate, len(asked.Chain))
	for place, der := range asked.Chain {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf(unread, err)
		}
		if key, ok := certificate.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > longestKey {
			return fmt.Errorf("tls: %s sent certificate containing RSA key larger than %d bits", peer, longestKey)
		}
		chain[place] = certificate
	}
	options := x509.VerifyOptions{
		Roots:         x509.NewCertPool(),
		Intermediates: x509.NewCertPool(),
		CurrentTime:   time.Unix(asked.Now, 0).UTC(),
		DNSName:       asked.Name,
	}
	options.Roots.AppendCertsFromPEM(asked.Roots)
	for _, certificate := range chain[1:] {
		options.Intermediates.AddCert(certificate)
	}
	if asked.Client {
		options.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	if _, err := chain[0].Verify(options); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: chain, Err: err}
	}
	switch key := chain[0].PublicKey.(type) {
	case nil, *dsa.PublicKey:
		if asked.Client {
			return fmt.Errorf("tls: client certificate contains an unsupported public key of type %T", key)
		}
		return fmt.Errorf("tls: server's certificate contains an unsupported type of public key: %T", key)
	}
	return nil
}

func connect(address string, asked question) error {
	config := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: asked.Name}
	config.RootCAs.AppendCertsFromPEM(asked.Roots)
	connection, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", address, config)
	if err != nil {
		return err
	}
	return connection.Close()
}
