package reference;

import java.io.IOException;
import java.security.KeyPairGenerator;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.env.Environment;
import org.springframework.http.HttpMethod;
import org.springframework.security.access.AccessDeniedException;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.crypto.password.NoOpPasswordEncoder;
import org.springframework.security.oauth2.common.DefaultOAuth2AccessToken;
import org.springframework.security.oauth2.common.OAuth2AccessToken;
import org.springframework.security.oauth2.config.annotation.builders.InMemoryClientDetailsServiceBuilder;
import org.springframework.security.oauth2.config.annotation.configurers.ClientDetailsServiceConfigurer;
import org.springframework.security.oauth2.config.annotation.web.configuration.AuthorizationServerConfigurerAdapter;
import org.springframework.security.oauth2.config.annotation.web.configuration.EnableAuthorizationServer;
import org.springframework.security.oauth2.config.annotation.web.configuration.EnableResourceServer;
import org.springframework.security.oauth2.config.annotation.web.configuration.ResourceServerConfigurerAdapter;
import org.springframework.security.oauth2.config.annotation.web.configurers.AuthorizationServerEndpointsConfigurer;
import org.springframework.security.oauth2.config.annotation.web.configurers.AuthorizationServerSecurityConfigurer;
import org.springframework.security.oauth2.provider.OAuth2Authentication;
import org.springframework.security.oauth2.provider.token.TokenEnhancerChain;
import org.springframework.security.oauth2.provider.token.store.JwtAccessTokenConverter;
import org.springframework.security.oauth2.provider.token.store.JwtTokenStore;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** An authorization server with a client for each case, and one resource. It ends when its standard input ends. */
@SpringBootApplication
@RestController
public class Server {
  private static final String SECRET = "not-a-secret-of-";
  private static final String GRANT = "client_credentials";

  public static void main(String[] arguments) throws IOException {
    Environment started = SpringApplication.run(Server.class, arguments).getEnvironment();
    System.out.println("http://127.0.0.1:" + started.getProperty("local.server.port"));
    while (System.in.read() >= 0) {}
    System.exit(0);
  }

  @GetMapping("/v1/datasets")
  public List<Map<String, String>> datasets() {
    return Collections.singletonList(Collections.singletonMap("name", "Opportunities"));
  }

  @Configuration
  @EnableResourceServer
  static class Resources extends ResourceServerConfigurerAdapter {
    @Override
    public void configure(HttpSecurity http) throws Exception {
      http.requestMatchers().antMatchers("/v1/**").and()
          .authorizeRequests().antMatchers("/v1/**").access("#oauth2.hasScope('data')");
    }
  }

  @Configuration
  @EnableAuthorizationServer
  static class Tokens extends AuthorizationServerConfigurerAdapter {
    @Value("${token.methods:GET,POST}")
    private HttpMethod[] methods;

    @Override
    public void configure(ClientDetailsServiceConfigurer configurer) throws Exception {
      InMemoryClientDetailsServiceBuilder clients = configurer.inMemory();
      client(clients, "two-scopes", GRANT, "data", "user");
      client(clients, "no-scopes", GRANT);
      client(clients, "other-grant", "password", "data");
      client(clients, "fault", GRANT, "data");
      client(clients, "denied", GRANT, "data");
    }

    private static void client(InMemoryClientDetailsServiceBuilder to, String id, String grant, String... scopes) {
      to.withClient(id).secret(SECRET + id).authorizedGrantTypes(grant).scopes(scopes).accessTokenValiditySeconds(3600);
    }

    @Override
    @SuppressWarnings("deprecation") // the secret is public, and older versions know no other way that newer ones take
    public void configure(AuthorizationServerSecurityConfigurer security) {
      security.passwordEncoder(NoOpPasswordEncoder.getInstance());
    }

    @Override
    public void configure(AuthorizationServerEndpointsConfigurer endpoints) throws Exception {
      TokenEnhancerChain chain = new TokenEnhancerChain();
      chain.setTokenEnhancers(Arrays.asList(Tokens::addDomosFields, converter()));
      endpoints.tokenStore(new JwtTokenStore(converter())).accessTokenConverter(converter()).tokenEnhancer(chain)
          .allowedTokenEndpointRequestMethods(methods);
    }

    private static OAuth2AccessToken addDomosFields(OAuth2AccessToken token, OAuth2Authentication authentication) {
      switch (authentication.getOAuth2Request().getClientId()) {
        case "fault": throw new IllegalStateException("fault inside");
        case "denied": throw new AccessDeniedException("Access is denied");
      }
      Map<String, Object> fields = new LinkedHashMap<>();
      fields.put("customer", "acmecompany");
      fields.put("env", "reference");
      fields.put("userId", 964382593L);
      fields.put("role", "Admin");
      ((DefaultOAuth2AccessToken) token).setAdditionalInformation(fields);
      return token;
    }

    @Bean
    public JwtAccessTokenConverter converter() throws NoSuchAlgorithmException {
      JwtAccessTokenConverter converter = new JwtAccessTokenConverter();
      converter.setKeyPair(KeyPairGenerator.getInstance("RSA").generateKeyPair());
      return converter;
    }
  }
}
