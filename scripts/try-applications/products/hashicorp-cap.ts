import type { Trial } from '../trial.ts'

export const hashicorpCap: Trial = {
  async start(workshop) {
    const program = await workshop.goProgram(
      'cap',
      ['github.com/hashicorp/cap@v0.15.0'],
      `package main

import (
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/hashicorp/cap/oidc"
)

func main() {
${workshop.lines.replace(/^/gm, '\t')}
	http.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		url, err := provider.AuthURL(r.Context(), request)
		if err != nil {
			http.Error(w, err.Error(), 500)
			return
		}
		http.Redirect(w, r, url, http.StatusFound)
	})
	http.HandleFunc("/callback", func(w http.ResponseWriter, r *http.Request) {
		token, err := provider.Exchange(r.Context(), request, r.FormValue("state"), r.FormValue("code"))
		if err != nil {
			http.Error(w, err.Error(), 500)
			return
		}
		var claims struct{ Email string }
		if err := token.IDToken().Claims(&claims); err != nil {
			http.Error(w, err.Error(), 500)
			return
		}
		fmt.Fprintf(w, "Hello, %s", claims.Email)
	})
	log.Fatal(http.ListenAndServe("localhost:${workshop.port}", nil))
}
`,
    )
    await workshop.serve(program, [])
    return 'hashicorp/cap 0.15.0'
  },
  login: '/login',
}
