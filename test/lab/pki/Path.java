import java.io.FileInputStream;
import java.security.cert.*;
import java.util.*;

/** Validates a certificate as Java does, with revocation by the addresses in it. */
public class Path {
    public static void main(String[] args) throws Exception {
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        X509Certificate root = read(factory, args[0]);
        X509Certificate issuer = read(factory, args[1]);
        for (int i = 3; i < args.length; i++) {
            CertPath path = factory.generateCertPath(List.of(read(factory, args[i]), issuer));
            CertPathValidator validator = CertPathValidator.getInstance("PKIX");
            PKIXRevocationChecker checker = (PKIXRevocationChecker) validator.getRevocationChecker();
            if (args[2].equals("crl")) {
                checker.setOptions(EnumSet.of(PKIXRevocationChecker.Option.PREFER_CRLS, PKIXRevocationChecker.Option.NO_FALLBACK));
            } else {
                checker.setOptions(EnumSet.of(PKIXRevocationChecker.Option.NO_FALLBACK, PKIXRevocationChecker.Option.ONLY_END_ENTITY));
            }
            PKIXParameters parameters = new PKIXParameters(Set.of(new TrustAnchor(root, null)));
            parameters.addCertPathChecker(checker);
            try {
                validator.validate(path, parameters);
                System.out.println("good");
            } catch (CertPathValidatorException e) {
                System.out.println(e.getReason() + " " + e.getMessage());
            }
        }
    }

    static X509Certificate read(CertificateFactory factory, String file) throws Exception {
        try (FileInputStream in = new FileInputStream(file)) {
            return (X509Certificate) factory.generateCertificate(in);
        }
    }
}
