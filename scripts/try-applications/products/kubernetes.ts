import { kubernetes as preset } from '../../presets/apis.ts'
import type { ApiTrial } from '../trial.ts'

/** The authenticator of the API server, set up as the API server does it with --authentication-config. */
export const kubernetes: ApiTrial = {
  https: true,
  async start(workshop) {
    const [file] = preset.files
    const certificate = workshop.certificate.trim().replace(/^/gm, '      ')
    const lines = file?.lines(workshop.given) ?? ''
    const path = await workshop.write(
      'authentication-config.yaml',
      lines.replace(
        '    audiences:',
        `    certificateAuthority: |\n${certificate}\n    audiences:`,
      ),
    )
    const program = await workshop.goProgram(
      'kubernetes',
      ['k8s.io/apiserver@v0.37.2'],
      `package main

import (
	"context"
	"encoding/json"
	"log"
	"net/http"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/apis/apiserver/install"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/apiserver/plugin/pkg/authenticator/token/oidc"
)

func main() {
	file, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	scheme := runtime.NewScheme()
	install.Install(scheme)
	codecs := serializer.NewCodecFactory(scheme, serializer.EnableStrict)
	var config apiserver.AuthenticationConfiguration
	if err := runtime.DecodeInto(codecs.UniversalDecoder(), file, &config); err != nil {
		log.Fatal(err)
	}
	ca, err := dynamiccertificates.NewStaticCAContent("issuer", []byte(config.JWT[0].Issuer.CertificateAuthority))
	if err != nil {
		log.Fatal(err)
	}
	authenticator, err := oidc.New(context.Background(), oidc.Options{
		JWTAuthenticator:     config.JWT[0],
		CAContentProvider:    ca,
		SupportedSigningAlgs: oidc.AllValidSigningAlgorithms(),
	})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe(os.Args[2], http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			if err := authenticator.HealthCheck(); err != nil {
				http.Error(w, err.Error(), 503)
			}
			return
		}
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		answer, ok, err := authenticator.AuthenticateToken(r.Context(), token)
		if err != nil || !ok {
			log.Print(err)
			http.Error(w, "Unauthorized", 401)
			return
		}
		json.NewEncoder(w).Encode(answer.User)
	})))
}
`,
    )
    const ready = `${workshop.url}/healthz`
    await workshop.serve(program, [path, `localhost:${workshop.port}`], { ready })
    return 'k8s.io/apiserver 0.37.2'
  },
}
