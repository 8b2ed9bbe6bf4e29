package reference;

import jakarta.servlet.Filter;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletRequestWrapper;
import java.io.IOException;
import java.time.Duration;
import java.util.Set;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.web.servlet.FilterRegistrationBean;
import org.springframework.context.annotation.Bean;
import org.springframework.core.Ordered;
import org.springframework.security.access.AccessDeniedException;
import org.springframework.security.oauth2.core.AuthorizationGrantType;
import org.springframework.security.oauth2.core.ClientAuthenticationMethod;
import org.springframework.security.oauth2.server.authorization.client.InMemoryRegisteredClientRepository;
import org.springframework.security.oauth2.server.authorization.client.RegisteredClient;
import org.springframework.security.oauth2.server.authorization.client.RegisteredClientRepository;
import org.springframework.security.oauth2.server.authorization.settings.AuthorizationServerSettings;
import org.springframework.security.oauth2.server.authorization.settings.TokenSettings;
import org.springframework.security.oauth2.server.authorization.token.JwtEncodingContext;
import org.springframework.security.oauth2.server.authorization.token.OAuth2TokenCustomizer;

/** The successor of Spring Security OAuth, with the same clients. It ends when its standard input ends. */
@SpringBootApplication
public class Server {
  private static final AuthorizationGrantType GRANT = AuthorizationGrantType.CLIENT_CREDENTIALS;

  public static void main(String[] arguments) throws IOException {
    var started = SpringApplication.run(Server.class, arguments).getEnvironment();
    System.out.println("http://127.0.0.1:" + started.getProperty("local.server.port"));
    while (System.in.read() >= 0) {}
    System.exit(0);
  }

  @Bean
  RegisteredClientRepository clients() {
    return new InMemoryRegisteredClientRepository(
        client("two-scopes", GRANT, "data", "user"),
        client("no-scopes", GRANT),
        client("other-grant", AuthorizationGrantType.JWT_BEARER, "data"),
        client("fault", GRANT, "data"),
        client("denied", GRANT, "data"));
  }

  private static RegisteredClient client(String id, AuthorizationGrantType grant, String... scopes) {
    return RegisteredClient.withId(id).clientId(id).clientSecret("{noop}not-a-secret-of-" + id)
        .clientAuthenticationMethod(ClientAuthenticationMethod.CLIENT_SECRET_BASIC)
        .authorizationGrantType(grant).scopes(all -> all.addAll(Set.of(scopes)))
        .tokenSettings(TokenSettings.builder().accessTokenTimeToLive(Duration.ofHours(1)).build())
        .build();
  }

  @Bean
  AuthorizationServerSettings settings() {
    return AuthorizationServerSettings.builder().tokenEndpoint("/oauth/token").build();
  }

  @Bean
  OAuth2TokenCustomizer<JwtEncodingContext> faults() {
    return context -> {
      switch (context.getRegisteredClient().getClientId()) {
        case "fault" -> throw new IllegalStateException("fault inside");
        case "denied" -> throw new AccessDeniedException("Access is denied");
      }
    };
  }

  /** The successor takes POST only. This hands a GET on as the POST of a form, to see its answers to a GET, too. */
  @Bean
  FilterRegistrationBean<Filter> getAsPost(@Value("${token.methods:GET,POST}") Set<String> methods) {
    Filter filter = (request, response, chain) -> {
      var http = (HttpServletRequest) request;
      boolean get = http.getMethod().equals("GET") && http.getRequestURI().equals("/oauth/token");
      chain.doFilter(get && methods.contains("GET") ? new AsPost(http) : http, response);
    };
    var registration = new FilterRegistrationBean<>(filter);
    registration.setOrder(Ordered.HIGHEST_PRECEDENCE);
    return registration;
  }

  private static final class AsPost extends HttpServletRequestWrapper {
    AsPost(HttpServletRequest get) {
      super(get);
    }

    @Override
    public String getMethod() {
      return "POST";
    }

    @Override
    public String getQueryString() {
      return null;
    }
  }
}
