//! The verb that leads a description in another language than English, put into English.
//!
//! Only the first verb of the first sentence: it says what the tool does, as an English one would. The rest stays as it is.

use std::borrow::Cow;

/// An English verb, and how others begin a description that says the same: the third person, the imperative, the
/// infinitive, or a noun that stands for the deed. Each is a whole word, or several.
const LEADS: &[(&str, &[&str])] = &[
    (
        "get",
        &[
            "récupère",
            "récupérer",
            "récupérez",
            "obtient",
            "obtenir",
            "retourne",
            "retourner",
            "renvoie",
            "renvoyer",
            "affiche",
            "afficher",
            "consulte",
            "consulter",
            "lit",
            "lire",
            "obtiene",
            "obtener",
            "obtén",
            "devuelve",
            "devolver",
            "recupera",
            "recuperar",
            "muestra",
            "mostrar",
            "consulta",
            "consultar",
            "lee",
            "leer",
            "obtém",
            "obter",
            "retorna",
            "retornar",
            "mostra",
            "exibe",
            "exibir",
            "lê",
            "ler",
            "ottiene",
            "ottenere",
            "restituisce",
            "restituire",
            "mostrare",
            "legge",
            "leggere",
            "recuperare",
            "ruft",
            "abrufen",
            "liefert",
            "zeigt",
            "anzeigen",
            "holt",
            "liest",
            "lesen",
            "gibt",
            "haalt",
            "ophalen",
            "toont",
            "tonen",
            "leest",
            "pobiera",
            "pobierz",
            "zwraca",
            "wyświetla",
            "pokazuje",
            "odczytuje",
            "hämtar",
            "hämta",
            "visar",
            "henter",
            "viser",
            "getirir",
            "gösterir",
            "döndürür",
            "получает",
            "получить",
            "возвращает",
            "показывает",
            "читает",
            "отримує",
            "повертає",
        ],
    ),
    (
        "list",
        &[
            "liste",
            "lister",
            "énumère",
            "lista",
            "listar",
            "enumera",
            "elenca",
            "elencare",
            "listet",
            "auflisten",
            "lijst",
            "toon lijst",
            "wylicza",
            "listuje",
            "listeler",
            "перечисляет",
            "список",
            "статистика",
            "статус",
            "журнал",
            "история",
            "информация",
            "доступные",
            "проверка",
            "баланс",
        ],
    ),
    (
        "search",
        &[
            "recherche",
            "rechercher",
            "cherche",
            "chercher",
            "busca",
            "buscar",
            "procura",
            "procurar",
            "pesquisa",
            "pesquisar",
            "cerca",
            "cercare",
            "ricerca",
            "sucht",
            "suchen",
            "durchsucht",
            "zoekt",
            "zoeken",
            "wyszukuje",
            "szuka",
            "söker",
            "arar",
            "ищет",
            "поиск",
        ],
    ),
    (
        "create",
        &[
            "crée",
            "créer",
            "crea",
            "crear",
            "cria",
            "criar",
            "creare",
            "erstellt",
            "erstellen",
            "legt an",
            "maakt",
            "aanmaken",
            "tworzy",
            "utwórz",
            "skapar",
            "oluşturur",
            "создает",
            "создаёт",
            "создать",
            "ajoute",
            "ajouter",
            "añade",
            "añadir",
            "agrega",
            "agregar",
            "adiciona",
            "adicionar",
            "aggiunge",
            "aggiungere",
            "voegt",
            "dodaje",
            "lägger till",
            "добавляет",
            "добавить",
        ],
    ),
    (
        "update",
        &[
            "met à jour",
            "mettre à jour",
            "modifie",
            "modifier",
            "actualiza",
            "actualizar",
            "modifica",
            "modificar",
            "atualiza",
            "atualizar",
            "altera",
            "alterar",
            "aggiorna",
            "aggiornare",
            "aktualisiert",
            "aktualisieren",
            "ändert",
            "ändern",
            "bearbeitet",
            "werkt bij",
            "bijwerken",
            "wijzigt",
            "aktualizuje",
            "zmienia",
            "edytuje",
            "uppdaterar",
            "günceller",
            "обновляет",
            "обновить",
            "изменяет",
        ],
    ),
    (
        "delete",
        &[
            "supprime",
            "supprimer",
            "efface",
            "effacer",
            "elimina",
            "eliminar",
            "borra",
            "borrar",
            "exclui",
            "excluir",
            "remove",
            "apaga",
            "apagar",
            "eliminare",
            "cancella",
            "cancellare",
            "löscht",
            "löschen",
            "entfernt",
            "entfernen",
            "verwijdert",
            "verwijderen",
            "usuwa",
            "usuń",
            "tar bort",
            "raderar",
            "siler",
            "удаляет",
            "удалить",
        ],
    ),
    (
        "send",
        &[
            "envoie",
            "envoyer",
            "envía",
            "enviar",
            "envia",
            "invia",
            "inviare",
            "sendet",
            "senden",
            "verschickt",
            "verzendt",
            "stuurt",
            "wysyła",
            "wyślij",
            "skickar",
            "gönderir",
            "отправляет",
            "отправить",
        ],
    ),
    (
        "execute",
        &[
            "exécute",
            "exécuter",
            "ejecuta",
            "ejecutar",
            "executa",
            "executar",
            "esegue",
            "eseguire",
            "führt aus",
            "ausführen",
            "voert uit",
            "uitvoeren",
            "uruchamia",
            "wykonuje",
            "kör",
            "çalıştırır",
            "выполняет",
            "выполнить",
        ],
    ),
];

/// The same where no spaces stand between words, as in Chinese, where the verb leads, or where it ends the sentence, as in
/// Japanese, Korean and Turkish. What is written in letters is a whole word: `örnekler` are examples and no `ekler`.
const UNSPACED: &[(&str, &[&str], &[&str])] = &[
    ("delete", &["删除", "移除", "清空"], &["削除", "삭제", "siler", "silerek"]),
    ("update", &["更新", "修改", "编辑"], &["更新", "変更", "編集", "수정", "변경", "업데이트", "günceller"]),
    (
        "create",
        &["创建", "新建", "添加", "新增"],
        &["作成", "登録", "追加", "생성", "추가", "등록", "oluşturur", "ekler"],
    ),
    ("send", &["发送", "发布"], &["送信", "投稿", "전송", "발송", "gönderir"]),
    ("execute", &["执行", "运行"], &["実行", "실행", "çalıştırır"]),
    ("search", &["搜索", "查找", "检索"], &["検索", "검색"]),
    ("list", &["列出"], &["一覧", "목록", "listeler"]),
    (
        "get",
        &["获取", "查询", "查看", "读取", "返回"],
        &["取得", "表示", "参照", "確認", "返し", "조회", "반환", "확인", "döndürür", "getirir", "gösterir"],
    ),
];

/// The description with its leading verb in English, where it is in another language that is known here.
pub(super) fn in_english(text: &str) -> Cow<'_, str> {
    let head = text.trim_start();
    if let Some(second) = beside(head) {
        return Cow::Borrowed(second);
    }
    let rest = |leads: &&[&str]| leads.iter().find_map(|lead| after(head, lead));
    let spaced = LEADS.iter().find_map(|(verb, leads)| Some((verb, rest(leads)?)));
    // "lista" is a list and a verb; what an English word follows is English
    if let Some((verb, rest)) = spaced.filter(|(_, rest)| is_abroad(head, rest)) {
        return Cow::Owned(format!("{verb} {rest}"));
    }
    if head.is_ascii() {
        return Cow::Borrowed(text);
    }
    let first = head.split(['。', '\n', '.', '；', ';']).next().unwrap_or(head);
    let verb = UNSPACED.iter().find(|(_, leads, ends)| {
        // `更新履歴` leads a sentence in Japanese, and is a history
        let may_lead = |lead: &&str| !(ends.contains(lead) && is_japanese(first));
        leads.iter().any(|lead| first.starts_with(lead) && may_lead(lead))
    });
    let verb = verb.or_else(|| {
        // whichever comes last
        let last = |ends: &[&str]| ends.iter().filter_map(|end| last(first, end)).max();
        UNSPACED
            .iter()
            .filter_map(|one| Some((last(one.2)?, one)))
            .max_by_key(|(at, _)| *at)
            .map(|(_, one)| one)
    });
    match verb {
        Some((verb, ..)) => Cow::Owned(format!("{verb} {head}")),
        None => Cow::Borrowed(text),
    }
}

fn is_japanese(sentence: &str) -> bool {
    sentence.contains(|c| matches!(c, 'ぁ'..='ヿ'))
}

/// Where a verb stands last in a sentence.
fn last(sentence: &str, verb: &str) -> Option<usize> {
    let in_letters = verb.starts_with(char::is_lowercase);
    let found = sentence.rmatch_indices(verb).find(|(at, _)| {
        let around = sentence.split_at_checked(*at).zip(sentence.split_at_checked(at + verb.len()));
        let is_apart = around.is_some_and(|((before, _), (_, after))| {
            !before.ends_with(char::is_alphanumeric) && !after.starts_with(char::is_alphanumeric)
        });
        is_apart || !in_letters
    });
    found.map(|(at, _)| at)
}

/// `Profil satırlarını döndürür. / Rows of a profile.`: the same once more, in English.
fn beside(text: &str) -> Option<&str> {
    let (own, second) = text.split_once(" / ")?;
    let english = second.is_ascii() && second.starts_with(|c: char| c.is_ascii_uppercase());
    (!own.is_ascii() && own.ends_with(['.', ';', ')', '!']) && english && second.contains(' '))
        .then_some(second)
}

/// What follows these words at the start, in whatever case they are written.
fn after<'t>(text: &'t str, words: &str) -> Option<&'t str> {
    let mut rest = text.chars();
    for wanted in words.chars() {
        let c = rest.next()?;
        if !c.to_lowercase().eq(wanted.to_lowercase()) {
            return None;
        }
    }
    let rest = rest.as_str();
    rest.starts_with(char::is_whitespace).then(|| rest.trim_start())
}

/// The sentence is in another language: a letter that English has not, or a small word of another behind the verb.
fn is_abroad(head: &str, rest: &str) -> bool {
    const SMALL: &[&str] = &[
        "le",
        "la",
        "les",
        "l'",
        "un",
        "une",
        "des",
        "du",
        "de",
        "d'un",
        "d'une",
        "el",
        "los",
        "las",
        "una",
        "del",
        "os",
        "as",
        "o",
        "um",
        "uma",
        "do",
        "da",
        "dos",
        "das",
        "il",
        "lo",
        "gli",
        "i",
        "dei",
        "delle",
        "degli",
        "der",
        "die",
        "das",
        "den",
        "dem",
        "ein",
        "eine",
        "einen",
        "alle",
        "het",
        "een",
        "todos",
        "todas",
        "tutti",
        "tutte",
        "tous",
        "toutes",
        "wszystkie",
        "listę",
        "det",
        "ett",
        "bir",
    ];
    let line = head.split(['.', '\n']).next().unwrap_or(head);
    let second = rest.split_whitespace().next().unwrap_or_default().to_lowercase();
    line.chars().any(|c| c.is_alphabetic() && !c.is_ascii()) || SMALL.contains(&&*second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verb_that_leads_is_put_into_english_and_english_stays() {
        for (text, verb) in [
            ("Récupère les quais d'un port.", "get"),
            ("Met à jour un quai.", "update"),
            ("Supprime définitivement un quai", "delete"),
            ("Obtiene la lista de muelles", "get"),
            ("Elimina un molo dal porto", "delete"),
            ("Löscht einen Liegeplatz", "delete"),
            ("Ruft den Liegeplatz ab", "get"),
            ("Wysyła wiadomość do kapitana", "send"),
            ("Удаляет причал", "delete"),
            ("删除泊位", "delete"),
            ("获取泊位列表", "get"),
            ("係留場所の一覧を取得します", "get"),
            ("係留場所を削除します。取り消せません。", "delete"),
            ("선석을 조회합니다", "get"),
        ] {
            assert!(in_english(text).starts_with(verb), "{text:?} {:?}", in_english(text));
        }
        for text in ["List of berths.", "Lista", "Remove a berth.", "Liste is a berth.", "Cria", ""] {
            assert_eq!(in_english(text), text);
        }
    }

    #[test]
    fn a_verb_that_ends_a_sentence_is_a_whole_word_and_no_end_of_a_noun() {
        for (text, verb) in [
            ("Rıhtımı kalıcı olarak siler", "delete"),
            ("Eski kayıtları silerek yer açar.", "delete"),
            ("Rıhtıma yeni bir gemi ekler (geri alınamaz).", "create"),
            ("Ekler klasörünü listeler.", "list"),
            ("Seçenekler arasından limanı getirir.", "get"),
            ("Kayıtlı örnekler üzerinde sorguyu çalıştırır.", "execute"),
            ("更新履歴を取得します", "get"),
            ("更新日時の新しい順に一覧で返します", "get"),
            ("更新泊位", "update"),
            ("删除ひらがな字段", "delete"),
        ] {
            assert!(in_english(text).starts_with(verb), "{text:?} {:?}", in_english(text));
        }
        for text in [
            "Kullanılabilir seçenekler.",
            "Bağlı gemiler için örnekler ve istekler.",
            "Limandaki çiçekler: tümü.",
            "Şehirdeki taksiler.",
        ] {
            assert_eq!(in_english(text), text);
        }
    }
}
