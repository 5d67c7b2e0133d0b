// A whole sign-in with the Go client that openapi-generator makes.
package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log"
	"net/url"
	"os"

	auth "example.com/auth/agent"
)

func main() {
	issuer, agentId, agentSecret := os.Args[1], os.Args[2], os.Args[3]
	redirectUri := "https://site.example/callback"
	configuration := auth.NewConfiguration()
	configuration.Servers = auth.ServerConfigurations{{URL: issuer}}
	server := auth.NewAPIClient(configuration)
	ctx := context.Background()

	registration := auth.NewRegisterClientRequest()
	registration.SetClientName("Generated")
	registration.SetRedirectUris([]string{redirectUri})
	registration.SetGrantTypes([]string{"authorization_code", "refresh_token"})
	client, _, err := server.RegistrationAPI.RegisterClient(ctx).RegisterClientRequest(*registration).Execute()
	must(err)

	verifier := rand.Text() + rand.Text()
	digest := sha256.Sum256([]byte(verifier))
	opened, _, err := server.SignInAPI.OpenAuthorizationRequest(ctx).
		ResponseType("code").
		ClientId(client.ClientId).
		RedirectUri(redirectUri).
		Scope("openid email offline_access").
		CodeChallenge(base64.RawURLEncoding.EncodeToString(digest[:])).
		CodeChallengeMethod("S256").
		Execute()
	must(err)

	proof := auth.NewAuthenticateAgentRequest(opened.RequestId, "gpt-4o")
	proof.SetAgentId(agentId)
	proof.SetAgentSecret(agentSecret)
	proof.SetDeliver("agent")
	authenticated, _, err := server.AgentsAPI.AuthenticateAgent(ctx).AuthenticateAgentRequest(*proof).Execute()
	must(err)
	callback, err := url.Parse(authenticated.AuthenticateAgent200ResponseAnyOf.RedirectTo)
	must(err)

	redeemed, _, err := server.TokensAPI.RequestToken(ctx).
		GrantType("authorization_code").
		Code(callback.Query().Get("code")).
		CodeVerifier(verifier).
		RedirectUri(redirectUri).
		ClientId(client.ClientId).
		ClientSecret(client.GetClientSecret()).
		Execute()
	must(err)
	visitor := context.WithValue(ctx, auth.ContextAccessToken, redeemed.AccessToken)
	userinfo, _, err := server.SignInAPI.ReadUserinfo(visitor).Execute()
	must(err)

	refreshed, _, err := server.TokensAPI.RequestToken(ctx).
		GrantType("refresh_token").
		RefreshToken(redeemed.GetRefreshToken()).
		ClientId(client.ClientId).
		ClientSecret(client.GetClientSecret()).
		Execute()
	must(err)
	introspect := func() bool {
		answer, _, err := server.TokensAPI.IntrospectToken(ctx).
			Token(refreshed.AccessToken).
			ClientId(client.ClientId).
			ClientSecret(client.GetClientSecret()).
			Execute()
		must(err)
		return answer.Active
	}
	active := introspect()
	_, _, err = server.TokensAPI.RevokeToken(ctx).
		Token(refreshed.GetRefreshToken()).
		ClientId(client.ClientId).
		ClientSecret(client.GetClientSecret()).
		Execute()
	must(err)

	var refusal *auth.GenericOpenAPIError
	_, _, err = server.SignInAPI.ReadUserinfo(visitor).Execute()
	if !errors.As(err, &refusal) {
		log.Fatalf("userinfo after the revocation: %v", err)
	}
	must(json.NewEncoder(os.Stdout).Encode(map[string]any{
		"email":      userinfo.Email,
		"active":     active,
		"afterwards": introspect(),
		"refused":    refusal.Model().(auth.Error).Error,
	}))
}

func must(err error) {
	var refusal *auth.GenericOpenAPIError
	if errors.As(err, &refusal) {
		log.Fatalf("%v: %s", err, refusal.Body())
	}
	if err != nil {
		log.Fatal(err)
	}
}
