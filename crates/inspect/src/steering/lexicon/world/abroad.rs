//! Parts of words in other languages than English, and what they speak of. `|` is between two.

use super::super::{PLACE, SECRET, Topics};
use super::{BESIDE, CONTENT, DISCREET, FOLK, PAPERS, SAID, SETTINGS, TIMING};

/// Words that have a part of [`ABROAD`] in them and another meaning: what has priority, what has to be filled in, where to.
const HARMLESS: &[&str] = &[
    "优先",
    "優先",
    "先进",
    "先進",
    "预先",
    "必填",
    "選填",
    "选填",
    "可填",
    "不填",
    "宛先",
    "送信先",
    "保存先",
    "出力先",
    "参照先",
    "接続先",
    "対象先",
];

/// A text in small letters, with nothing in the place of those.
pub(crate) fn without_harmless(text: String) -> String {
    let without =
        |text: String, word: &&str| if text.contains(*word) { text.replace(*word, " ") } else { text };
    HARMLESS.iter().fold(text, without)
}

/// Where secrets are spoken of, the place is what a program finds around it.
const ABROAD: &[(Topics, &str)] = &[
    (
        CONTENT,
        "inhalt|contenido|conteúdo|contenu|contenut|inhoud|treść|zawarto|içeri|içinde|содерж|内容|내용|محتو|\
         सामग्री",
    ),
    (
        PAPERS,
        "notiz|datei|ordner|dokument|archivo|carpeta|apuntes|documentos|arquivo|pasta |anotaç|fichier|\
         dossier|cartella|appunti|bestand|notitie|plik|notatk|dosya|klasör|belge|notlar|notları|файл|папк|\
         замет|документ|文件|档案|笔记|文档|ファイル|フォルダ|メモ|文書|파일|폴더|메모|문서|ملف|مجلد|مستند|फ़ाइल|फाइल|फ़ोल्डर|नोट",
    ),
    (
        FOLK,
        "adressbuch|kontakte|contactos|agenda de direcciones|contatos|carnet d'adresses|rubrica|contatti|\
         adresboek|contactpersonen|kontakty|książk|rehber|kişiler|контакт|адресн|通讯录|联系人|連絡先|연락처|주소록|\
         جهات الاتصال|संपर्क",
    ),
    (
        SAID,
        "bisher gesag|gespräch|verlauf|nachricht|conversación|haya escrito|ha escrito|mensajes|\
         hasta ahora|conversa|mensagens|que foi dito|échanges|derniers échanges|a été dit|conversazione|\
         messaggi|è stato detto|gesprek|berichten|gezegd|rozmow|wiadomości|powiedzia|konuşma|mesajlar|\
         söyle|переписк|сообщен|сказано|разговор|对话|聊天|说过|会話|やり取り|発言|대화|메시지|말한|المحادثة|الرسائل|बातचीत|\
         संदेश|dernier message|último mensaje|cuộc trò chuyện|hội thoại|percakapan|obrolan|розмов|\
         листуванн|konverzac|rozhovor|samtal|konversation|keskustelu|συνομιλ|συζήτησ|שיחה|บทสนทนา|\
         การสนทนา|beszélgetés|conversați",
    ),
    (
        SETTINGS,
        "konfiguration|einstellungen|configuración|ajustes|configuraç|paramètres|configurazione|\
         impostazioni|instellingen|ustawie|yapılandırma|ayarlar|настройк|конфигурац|配置|设置|設定|설정|الإعدادات|\
         सेटिंग|zwischenablage|portapapeles|área de transferência|presse-papiers|klembord|schowek|panosun|\
         буфер обмена|剪贴板|クリップボード|클립보드",
    ),
    (
        SECRET,
        "zugangsdaten|passwort|passwörter|anmeldedaten|identifiants|mot de passe|mots de passe|credencial|\
         contraseña|credenziali|senha|credenciais|учётные данные|учетные данные|парол|認証情報|パスワード|凭据|凭证|密码|\
         자격 증명|비밀번호|dane logowania|hasł|kimlik bilgi|parola|şifre|wachtwoord|inloggegevens",
    ),
    (PLACE, "umgebung|environnement|entorno|ambiente|окружени|環境|环境|환경|środowisk|ortam|omgeving"),
    (
        DISCREET,
        "unter uns|niemand|ohne es zu|muss davon nicht|braucht es nicht|sin decir|sin avisar|\
         sin mencionar|no le digas|nadie|entre nosotros|sem avisar|sem dizer|não avise|ninguém|entre nós|\
         sans en parler|sans le dire|sans prévenir|ne dites rien|entre nous|senza dir|senza parlar|\
         senza avvis|fra noi|zonder te zeggen|onder ons|nic nikomu|nie mów|bez wiedzy|söz etme|söyleme|\
         haber verme|не упомина|не сообща|не говори|никому|между нами|不要告诉|不要提|不用告诉|别告诉|触れない|言わない|伝えない|\
         知らせない|말하지|알리지|언급하지|دون إخبار|لا تخبر|न बता|बिना बताए|pas besoin de le savoir|sans l'évoquer|\
         discrètement|no necesita saber|deve saper|não precisa saber|hoeft dit niet|hoeft het niet|\
         niet te weten|nie musi o tym|nie musi wiedzieć|bilmesine gerek yok|không cần biết|đừng nói|\
         tidak perlu tahu|jangan beri tahu|знати про це не|не кажіть|nemusí vědět|to nemusí|\
         behöver inte veta|ei tarvitse tietää|δεν χρειάζεται να το|צריך לדעת|ไม่จำเป็นต้องรู้|อย่าบอก|\
         nem kell tudnia|ne mondja|nu trebuie să știe|nu spuneți",
    ),
    (
        BESIDE,
        "übernehmen|einfügen|übergeben|anhängen|hinzufügen|schreiben|añad|inclu|pong|poner|escrib|junte|\
         acrescent|coloque|escreva|joigne|joint |ajout|mettez|inscri|aggiung|inserisc|metti|meegegeven|\
         toevoeg|invul|wpisz|dodaj|wklej|wstaw|yaz|ekle|koy|добав|впиш|встав|помест|写进|写入|放进|填|加到|入れて|書いて|\
         貼|加えて|添えて|넣|붙여|적어|ضع|أضف|وضع|लिख|डाल|जोड़|送り|发给|보내|anzugeben|eintragen|transmettez|indiquez|zet |\
         plaats |voeg |umieść|podaj |укажите|含め|포함|đưa |điền|masukkan|sertakan|tuliskan|помістіть|вкажіть|\
         додайте|впишіть|vložte|uveďte|přidejte|lägg |skriv |lisää|kirjoita|liitä|βάλτε|προσθέστε|γράψτε|\
         הכניסו|הוסיפו|כתבו|ใส่|เพิ่ม|tegye|írja|illessze|puneți|adăugați|introduceți|scrieți",
    ),
    (
        TIMING,
        "vor jede|bevor|zuerst|vorher|danach|antes de|primero|después|primeiro|depois|avant|d'abord|\
         ensuite|prima di|prima |dopo|eerst|voordat|daarna|najpierw|przed|potem|önce|sonra|сначала|перед|\
         после|по завершении|之前|先|之后|前に|まず|終わったら|後に|전에|먼저|후에|أولاً|قبل|بعد|पहले|बाद|voor elke|voor iedere|\
         trước mỗi|trước khi|sebelum|після|před |före |innan|ennen |πριν |לפני|ก่อน|előtt|înainte",
    ),
];

/// Something of these is spoken of, in a text in small letters.
pub(crate) fn speaks_abroad(lower: &str, wanted: Topics) -> bool {
    let mut known = ABROAD.iter().filter(|(topics, _)| topics.meets(wanted));
    known.any(|(_, parts)| parts.split('|').any(|part| lower.contains(part)))
}
